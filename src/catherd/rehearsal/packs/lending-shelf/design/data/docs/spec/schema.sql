-- Lending Shelf, as of the release. The app gets here in steps (PRAGMA user_version):
-- 1 the PoC; 2 the MVP adds thing.removed_at; 3 the Vertical Slice adds loan.back_by.
-- Moments are UTC, ISO 8601 to the second; days are YYYY-MM-DD: both sort as text.

CREATE TABLE thing (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL CHECK (length(trim(name)) > 0),
  owner TEXT NOT NULL CHECK (length(trim(owner)) > 0),
  added_at TEXT NOT NULL,
  removed_at TEXT -- taken off the shelf; the row stays, because loans point to it
);

CREATE TABLE loan (
  id INTEGER PRIMARY KEY,
  thing_id INTEGER NOT NULL REFERENCES thing(id),
  borrower TEXT NOT NULL CHECK (length(trim(borrower)) > 0),
  lent_at TEXT NOT NULL,
  returned_at TEXT, -- NULL while the thing is out
  back_by TEXT -- the day that was agreed on, if any
);

-- A thing is with one neighbour at a time, whatever the program does.
CREATE UNIQUE INDEX one_open_loan ON loan(thing_id) WHERE returned_at IS NULL;
