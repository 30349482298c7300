/*******************************************************************************
   A music shop, as such schemas are often written.
********************************************************************************/
PRAGMA journal_mode=WAL;
BEGIN TRANSACTION;
DROP TABLE IF EXISTS [Album];

CREATE TABLE IF NOT EXISTS [Artist]
(
    [ArtistId] INTEGER  NOT NULL,
    [Name] NVARCHAR(120) COLLATE NOCASE, -- may hold a ; or a 'quote'
    CONSTRAINT [PK_Artist] PRIMARY KEY  ([ArtistId])
);

CREATE TABLE "Album"
(
    "AlbumId" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "Title" NVARCHAR(160)  NOT NULL DEFAULT 'no; title',
    "ArtistId" INTEGER  NOT NULL,
    "Price" NUMERIC(10,2) GENERATED ALWAYS AS (round(cents / 100.0, 2)) VIRTUAL,
    cents INTEGER,
    FOREIGN KEY ("ArtistId") REFERENCES "Artist" ("ArtistId")
        ON DELETE NO ACTION ON UPDATE NO ACTION
);
CREATE TABLE playlist_track (
  playlist_id INT REFERENCES Playlist, track TEXT, PRIMARY KEY (playlist_id, track)) WITHOUT ROWID;
CREATE TABLE Playlist (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES Playlist(id));
CREATE INDEX IFK_AlbumArtistId ON Album (ArtistId) WHERE cents > 0;
CREATE VIRTUAL TABLE found USING fts5(title);
CREATE TRIGGER touched AFTER UPDATE ON Album BEGIN
  UPDATE Artist SET Name = Name WHERE ArtistId = NEW.ArtistId;
  SELECT CASE WHEN NEW.cents < 0 THEN RAISE(ROLLBACK, 'no; never') END;
END;
INSERT INTO [Artist] ([ArtistId], [Name]) VALUES (1, 'AC/DC');
ALTER TABLE Artist ADD COLUMN born TEXT;
COMMIT;
