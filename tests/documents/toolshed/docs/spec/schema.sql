-- Toolshed: what there is, and who has had it.
PRAGMA foreign_keys = ON;

CREATE TABLE tool (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL UNIQUE CHECK (length(trim(title)) > 0), -- the label on it; no two alike
  note TEXT NOT NULL DEFAULT ''
);

CREATE TABLE loan (
  id INTEGER PRIMARY KEY,
  tool_id INTEGER NOT NULL REFERENCES tool (id) ON DELETE RESTRICT,
  name TEXT NOT NULL,
  flat TEXT NOT NULL,
  taken TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  returned TEXT,
  CHECK (returned IS NULL OR returned >= taken)
);

/* A tool is out once at most. */
CREATE UNIQUE INDEX loan_open ON loan (tool_id) WHERE returned IS NULL;

CREATE VIEW overdue AS
  SELECT tool.title, loan.name, loan.flat FROM loan JOIN tool ON tool.id = loan.tool_id
  WHERE loan.returned IS NULL AND loan.taken < datetime('now', '-14 days');

CREATE TRIGGER loan_is_for_good BEFORE DELETE ON loan
BEGIN
  SELECT RAISE(ABORT, 'a loan is never deleted; return it');
END;
