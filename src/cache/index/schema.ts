// The tables of the stock cache service, in the steps by which it brings them up to date: it takes a directory back only
// when tables and count of steps are as it expects them. Those of its job queue it makes itself.
import type { Database } from "bun:sqlite";
import { IndexFault } from "./index-faults.ts";

/** The name under which the steps that were done are counted. */
const stepsName = "cache_service";

const steps: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS assets (
     etag TEXT,
     size INTEGER,
     last_use DATETIME NOT NULL,
     filename TEXT NOT NULL UNIQUE,
     PRIMARY KEY (filename)
   )`,
  `CREATE TABLE IF NOT EXISTS downloads (
     id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
     lock TEXT,
     job_id TEXT,
     created DATETIME NOT NULL DEFAULT current_timestamp
   );
   CREATE INDEX IF NOT EXISTS downloads_lock ON downloads (lock);
   CREATE INDEX IF NOT EXISTS downloads_created ON downloads (created)`,
  `ALTER TABLE assets ADD COLUMN pending INTEGER DEFAULT 1`,
  `CREATE INDEX IF NOT EXISTS assets_pending ON assets (pending)`,
  `CREATE TABLE IF NOT EXISTS metrics (
     name TEXT NOT NULL UNIQUE,
     value TEXT,
     PRIMARY KEY (name)
   )`,
];

/** All tables, in an empty database. */
export function createSchema(database: Database): void {
  database.run(
    `CREATE TABLE mojo_migrations (
       name text NOT NULL PRIMARY KEY,
       version integer NOT NULL CHECK (version >= 0)
     )`,
  );
  database.run("INSERT INTO mojo_migrations VALUES (?, 0)", [stepsName]);
  updateSchema(database);
}

/** Does the steps that an older index lacks. One from which the future has more is left as it is. */
export function updateSchema(database: Database): void {
  if (doneSteps(database) >= steps.length) return;
  database
    .transaction(() => {
      // Another process may have done them meanwhile.
      for (const step of steps.slice(doneSteps(database))) database.run(step);
      database.run("UPDATE mojo_migrations SET version = ? WHERE name = ?", [steps.length, stepsName]);
    })
    .immediate();
}

/** Without a count there is no telling which steps are missing: then it is not an index. */
function doneSteps(database: Database): number {
  using query = database.prepare<{ version: number }, [string]>(
    "SELECT CAST(version AS INTEGER) AS version FROM mojo_migrations WHERE name = ?",
  );
  const found = query.get(stepsName);
  if (!found) throw new IndexFault("damaged", `it has no version of ${stepsName}`);
  return found.version;
}
