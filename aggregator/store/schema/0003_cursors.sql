-- How far each reader that acknowledges has come: everything up to `seq` has arrived where it was to go.

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
