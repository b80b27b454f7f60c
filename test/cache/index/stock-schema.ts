// What the stock cache service makes of an empty index, as `.schema` of sqlite3 tells it (its job queue left out).
export const stockSchema = `
CREATE TABLE mojo_migrations (
       name    text not null primary key,
       version integer not null check (version >= 0)
     );
CREATE TABLE assets (
    \`etag\` TEXT,
    \`size\` INTEGER,
    \`last_use\` DATETIME NOT NULL,
    \`filename\` TEXT NOT NULL UNIQUE, \`pending\` INTEGER DEFAULT 1,
    PRIMARY KEY(\`filename\`)
);
CREATE TABLE downloads (
    \`id\` INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    \`lock\` TEXT,
    \`job_id\` TEXT,
    \`created\` DATETIME NOT NULL DEFAULT current_timestamp
);
CREATE INDEX downloads_lock on downloads (lock);
CREATE INDEX downloads_created on downloads (created);
CREATE INDEX assets_pending on assets (pending);
CREATE TABLE metrics (
    \`name\` TEXT NOT NULL UNIQUE,
    \`value\` TEXT,
    PRIMARY KEY(\`name\`)
);
INSERT INTO mojo_migrations VALUES ('cache_service', 5);
`;

/** One of its early days, before assets could be pending. */
export const oldStockSchema = `
CREATE TABLE mojo_migrations (name text not null primary key, version integer not null check (version >= 0));
CREATE TABLE assets (etag TEXT, size INTEGER, last_use DATETIME NOT NULL, filename TEXT NOT NULL UNIQUE,
  PRIMARY KEY(filename));
CREATE TABLE downloads (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, lock TEXT, job_id TEXT,
  created DATETIME NOT NULL DEFAULT current_timestamp);
CREATE INDEX downloads_lock on downloads (lock);
CREATE INDEX downloads_created on downloads (created);
INSERT INTO mojo_migrations VALUES ('cache_service', 2);
`;
