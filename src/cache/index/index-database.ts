// An index file that is open: the calls in SQL. Waits inside SQLite, so only the worker thread of the index may have it.
import { Database } from "bun:sqlite";
import { stat } from "node:fs/promises";
import { CacheError, errorText } from "../../errors.ts";
import { IndexFault, isWrongSchema } from "./index-faults.ts";
import { createSchema, updateSchema } from "./schema.ts";
import type { IndexCall, IndexRow } from "./thread-messages.ts";

/** Types and empty values are settled in SQL: the stock service and people with sqlite3 write into it as well. */
const selectRows = `SELECT CAST(filename AS TEXT) AS path, CAST(etag AS TEXT) AS etag,
  IFNULL(CAST(size AS INTEGER), 0) AS sizeBytes, CAST(last_use AS INTEGER) AS lastUse,
  IFNULL(pending, 1) <> 0 AS isPending FROM assets`;

interface SelectedRow {
  readonly path: string;
  readonly etag: string | null;
  readonly sizeBytes: number;
  readonly lastUse: number;
  readonly isPending: 0 | 1;
}

interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export class IndexDatabase implements Disposable {
  private readonly statements: Statements;

  private constructor(
    private readonly database: Database,
    private readonly path: string,
    private readonly file: FileIdentity,
  ) {
    this.statements = prepare(database);
  }

  /**
   * Opens an index and checks all of it; waits up to `waitMs` for each lock. Throws `IndexFault`, or an error of SQLite
   * or of the file system: `faultOf` tells what it means.
   */
  static async open(path: string, waitMs: number): Promise<IndexDatabase> {
    const file = await stat(path, { bigint: true });
    if (!file.isFile())
      throw new CacheError(`The index ${path} is not a file: move it away, so that one can be made`);
    const database = new Database(path, { readwrite: true });
    try {
      // Before anything that could find the file locked.
      database.run(`PRAGMA busy_timeout = ${waitMs}`);
      database.run("PRAGMA journal_mode = DELETE");
      checkIntegrity(database);
      updateSchema(database);
      const index = new IndexDatabase(database, path, file);
      await index.checkPlace();
      return index;
    } catch (error) {
      database.close(true);
      if (!isWrongSchema(error)) throw error;
      throw new IndexFault("damaged", `it is no index of assets: ${errorText(error)}`, { cause: error });
    }
  }

  /** Makes an index file of these rows, complete and flushed. */
  static create(path: string, rows: readonly IndexRow[]): void {
    using database = new Database(path, { create: true, readwrite: true });
    createSchema(database);
    const { restore } = prepare(database);
    database
      .transaction(() => {
        for (const row of rows) restore.run(row.path, row.etag ?? null, row.sizeBytes, row.lastUse);
      })
      .immediate();
  }

  /** Throws `IndexFault` when the file is not the one that has the index's name by now. */
  async checkPlace(): Promise<void> {
    const { dev, ino } = await stat(this.path, { bigint: true });
    if (dev !== this.file.dev || ino !== this.file.ino)
      throw new IndexFault("replaced", "another file has its place");
  }

  /** The rows that were asked for; none for calls that only write. */
  perform(call: IndexCall): readonly IndexRow[] {
    const { row, rows, store, touch, remove } = this.statements;
    switch (call.kind) {
      case "row":
        return row.all(call.path).map(fromSelected);
      case "rows":
        return rows.all().map(fromSelected);
      case "store":
        return this.write(() => store.run(call.asset.path, call.asset.etag ?? null, call.asset.sizeBytes));
      case "touch":
        return this.write(() => touch.run(call.path));
      case "remove":
        return this.write(() => remove.run(call.path));
    }
  }

  [Symbol.dispose](): void {
    this.database.close(true);
  }

  private write(statement: () => void): readonly IndexRow[] {
    this.database.transaction(statement).immediate();
    return [];
  }
}

type Statements = ReturnType<typeof prepare>;

/** Compiling them shows whether the tables have what they need. They end with the database. */
function prepare(database: Database) {
  const insert = "INSERT INTO assets (filename, etag, size, last_use, pending)";
  const onConflict = `ON CONFLICT (filename) DO UPDATE
    SET etag = excluded.etag, size = excluded.size, last_use = excluded.last_use, pending = 0`;
  return {
    row: database.prepare<SelectedRow, [string]>(`${selectRows} WHERE filename = ?`),
    rows: database.prepare<SelectedRow, []>(`${selectRows} ORDER BY last_use, filename`),
    store: database.prepare<void, [string, string | null, number]>(
      `${insert} VALUES (?, ?, ?, unixepoch(), 0) ${onConflict}`,
    ),
    touch: database.prepare<void, [string]>(
      "UPDATE assets SET last_use = unixepoch(), pending = 0 WHERE filename = ?",
    ),
    remove: database.prepare<void, [string]>("DELETE FROM assets WHERE filename = ?"),
    restore: database.prepare<void, [string, string | null, number, number]>(
      `${insert} VALUES (?, ?, ?, ?, 0)`,
    ),
  };
}

function checkIntegrity(database: Database): void {
  const found = database.query<Record<string, unknown>, []>("PRAGMA integrity_check(1)").all();
  const text = found
    .flatMap((row) => Object.values(row))
    .join("; ")
    .replace(/^\*\*\*.*\*\*\*\n/, "");
  if (text !== "ok") throw new IndexFault("damaged", text);
}

function fromSelected({ etag, isPending, ...row }: SelectedRow): IndexRow {
  return { ...row, etag: etag ?? undefined, isPending: isPending !== 0 };
}
