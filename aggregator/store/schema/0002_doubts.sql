-- Objects that no stream holds any more, until somebody tells what became of them; few, and each for seconds.

CREATE TABLE doubts (
    kind TEXT NOT NULL,
    uid TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    resource_version INTEGER NOT NULL,
    after_at INTEGER NOT NULL,
    settled_by_epoch INTEGER NOT NULL,
    settled_by_resource_version INTEGER NOT NULL,
    settled_by_gone INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (kind, uid)
) WITHOUT ROWID;
