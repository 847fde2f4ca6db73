-- The journal. Rows of changes, bodies, occurrences, gaps and presences are never rewritten.
-- Words that repeat (kinds, namespaces, nodes, reasons) are numbers of `words`. A uid is 16 bytes when it is a UUID, else text.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- One row: what must survive the deletion of old rows.
CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_seq INTEGER NOT NULL,
    last_object INTEGER NOT NULL,
    changes INTEGER NOT NULL
);
INSERT INTO totals VALUES (1, 0, 0, 0);

CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    uid NOT NULL,
    first_observed_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX objects_identity ON objects (uid, kind);
CREATE INDEX objects_namespace ON objects (namespace);
CREATE INDEX objects_kind ON objects (kind);
CREATE INDEX objects_name ON objects (name);

-- The highest version of each object.
CREATE TABLE heads (
    object INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    node INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    resource_version INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    observed_at INTEGER NOT NULL
);
CREATE INDEX heads_living ON heads (kind, node) WHERE gone = 0;

-- `lag` is committed_at - observed_at, `base` is seq - the base's seq: small numbers take few bytes.
-- `said` is the actor and the patch, packed together; `after_at` begins an inferred delete's interval.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    object INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    resource_version INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    verb INTEGER NOT NULL,
    late INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    lag INTEGER NOT NULL,
    base INTEGER,
    after_at INTEGER,
    said BLOB
);
CREATE UNIQUE INDEX changes_history ON changes (object, epoch, resource_version, gone);

-- The whole objects of key versions.
CREATE TABLE bodies (
    seq INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);

-- What Events are about.
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    uid NOT NULL
);
CREATE UNIQUE INDEX subjects_identity ON subjects (uid, kind, namespace, name);
CREATE INDEX subjects_name ON subjects (name);

CREATE TABLE occurrences (
    seq INTEGER PRIMARY KEY,
    uid NOT NULL,
    epoch INTEGER NOT NULL,
    resource_version INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    count INTEGER NOT NULL,
    added INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    lag INTEGER NOT NULL,
    said BLOB NOT NULL
);
CREATE UNIQUE INDEX occurrences_identity ON occurrences (uid, epoch, resource_version);
CREATE INDEX occurrences_subject ON occurrences (subject);

CREATE TABLE gaps (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    to_at INTEGER,
    outcome TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    said BLOB NOT NULL
);
CREATE INDEX gaps_id ON gaps (id, seq);

CREATE TABLE presences (
    seq INTEGER PRIMARY KEY,
    agent TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    said BLOB NOT NULL
);
CREATE INDEX presences_agent ON presences (agent, seq);

-- Where in time each run of 4096 seqs lies, whatever they are: this finds a time without an index on each row.
CREATE TABLE spans (
    span INTEGER PRIMARY KEY,
    first_observed_at INTEGER NOT NULL,
    last_observed_at INTEGER NOT NULL,
    first_committed_at INTEGER NOT NULL,
    last_committed_at INTEGER NOT NULL
);

CREATE TABLE streams (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    resource_version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    complete_at INTEGER NOT NULL,
    holder TEXT NOT NULL,
    held_since INTEGER NOT NULL,
    term INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE terms (
    stream TEXT NOT NULL,
    term INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (stream, term)
) WITHOUT ROWID;

CREATE TABLE spools (
    id TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE stages (
    stream TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    resource_version INTEGER NOT NULL,
    consistent INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE staged (
    stream TEXT NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (stream, uid)
) WITHOUT ROWID;

CREATE TABLE counters (
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
