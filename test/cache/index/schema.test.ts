import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { faultOf } from "../../../src/cache/index/index-faults.ts";
import { createSchema, updateSchema } from "../../../src/cache/index/schema.ts";
import { oldStockSchema, stockSchema } from "./stock-schema.ts";

/** All that SQLite knows of tables, columns and indexes. */
function structure(database: Database): unknown {
  const ask = (sql: string) => database.query<Record<string, unknown>, []>(sql).all();
  const tables = ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  return tables.map(({ name }) => ({
    name,
    columns: ask(`PRAGMA table_xinfo(${name})`),
    indexes: ask(
      `SELECT l.name, l."unique", l.origin, x.name AS column FROM pragma_index_list('${name}') l, pragma_index_xinfo(l.name) x ORDER BY 1, x.seqno`,
    ),
  }));
}

function made(make: (database: Database) => void): Database {
  const database = new Database(":memory:");
  make(database);
  return database;
}

const steps = (database: Database) => database.query("SELECT * FROM mojo_migrations").all();

test("a new index has the tables of the stock cache service and its count of steps", () => {
  using stock = made((database) => database.run(stockSchema));
  using ours = made(createSchema);
  expect(structure(ours)).toEqual(structure(stock));
  expect(steps(ours)).toEqual(steps(stock));
});

test("an index of an older stock cache service is brought up to date, and keeps its rows", () => {
  using stock = made((database) => database.run(stockSchema));
  using old = made((database) => database.run(oldStockSchema));
  old.run("INSERT INTO assets VALUES ('e', 5, 7, '/a')");
  updateSchema(old);
  expect(structure(old)).toEqual(structure(stock));
  expect(steps(old)).toEqual(steps(stock));
  expect(old.query("SELECT filename, last_use FROM assets").all()).toEqual([{ filename: "/a", last_use: 7 }]);
});

test("one that is up to date, or from the future, is left as it is", () => {
  for (const version of [5, 6]) {
    using stock = made((database) => database.run(stockSchema));
    stock.run("UPDATE mojo_migrations SET version = ?", [version]);
    const before = stock.serialize();
    updateSchema(stock);
    expect(stock.serialize()).toEqual(before);
  }
});

test("one without its count of steps is damaged: the stock cache service would not take it either", () => {
  using database = made((made) => made.run(stockSchema));
  for (const change of ["DELETE FROM mojo_migrations", "DROP TABLE mojo_migrations"]) {
    database.run(change);
    expect(() => updateSchema(database)).toThrow();
    try {
      updateSchema(database);
    } catch (error) {
      expect(faultOf(error)).toBe("damaged");
    }
  }
});
