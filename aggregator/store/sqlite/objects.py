# ruff: noqa: S608 - the SQL is put together from our own words; what users say are parameters
"""
Read objects: the cluster at a moment, one object, its history.

Now is what `heads` says. At an earlier moment an object whose head was observed by then is as its head says; of the
others the history is walked from the top down to the first version that was observed by then.
"""

from collections.abc import Iterator
from typing import Any

from aggregator.records import ChangeRow, Head, ObjectKey, ObjectQuery, Page, RecordQuery, Verb
from aggregator.store.filtering import wants_change, wants_object
from aggregator.store.sqlite.columns import CHANGE, HEAD, OBJECT, change_of, head_of, uid_key, uid_text
from aggregator.store.sqlite.facts import horizon
from aggregator.store.sqlite.pool import Reading
from aggregator.store.sqlite.rebuilding import rebuild
from aggregator.store.sqlite.records import change_and_head
from aggregator.store.sqlite.searching import Nothing, few, where_object
from aggregator.store.views import Detail, ObjectState, change_item, object_item

_BLOCK = 50_000
"""Object ids in one statement; after each the clock is looked at."""

_OBJECTS = f"SELECT {HEAD}, {OBJECT} FROM objects AS o CROSS JOIN heads AS h ON h.object = o.id"
_HISTORY = f"""SELECT {CHANGE} FROM changes AS c WHERE c.object = ?
    ORDER BY c.epoch DESC, c.resource_version DESC, c.gone DESC"""
_CHANGE = f"SELECT {CHANGE} FROM changes AS c WHERE c.seq = ?"
_FIRST_SEEN = "SELECT first_observed_at FROM objects WHERE id = ?"
_BY_UID = f"{_OBJECTS} WHERE o.uid = ? ORDER BY h.seq DESC"
_VERSIONS = f"""SELECT {CHANGE}, {OBJECT} FROM changes AS c CROSS JOIN objects AS o ON o.id = c.object
    WHERE c.object = ?"""


def objects(reading: Reading, query: ObjectQuery) -> Page:
    """Return a page of the cluster as it was; a walk that takes long ends early, and the next page goes on."""
    items: list[bytes] = []
    place = 0
    last: int | None = None
    for it in _states(reading, query):
        if isinstance(it, int):
            place = it
        elif len(items) == query.limit:
            last = place
            break
        else:
            items.append(_item(reading, it, include_body=query.include_body))
            place = it.head.id
        if reading.is_out_of_patience():
            last = place
            break
    return Page(items=items, last=last, horizon=horizon(reading))


def _item(reading: Reading, state: ObjectState, *, include_body: bool) -> bytes:
    if not include_body:
        return object_item(state)
    seq = state.head.seq
    generation = change_of(reading.connection.execute(_CHANGE, (seq,)).fetchone(), reading.unpacker).generation
    return object_item(state, generation=generation, body=rebuild(reading, [seq])[seq])


def _states(reading: Reading, query: ObjectQuery) -> Iterator[ObjectState | int]:
    """Give the states by object id and, as a bare id, how far the walk has come."""
    for it in _heads(reading, query):
        if isinstance(it, int):
            yield it
            continue
        state = ObjectState(head=it) if query.at is None else _state_at(reading, it, query.at)
        if state is not None and (query.include_deleted or not state.head.version.gone):
            yield state
        else:
            yield it.id


def _heads(reading: Reading, query: ObjectQuery) -> Iterator[Head | int]:
    try:
        where, parameters = where_object(reading, query)
    except Nothing:
        return
    conditions = [where] if where else []
    if query.at is not None:
        conditions.append("o.first_observed_at <= ?")
        parameters.append(query.at)
    elif not query.include_deleted:
        conditions.append("h.gone = 0")
    (highest,) = reading.connection.execute("SELECT last_object FROM totals WHERE id = 1").fetchone()
    size = _BLOCK if few(reading, "objects AS o", where, parameters[: where.count("?")]) is None else highest + 1
    sql = f"{_OBJECTS} WHERE {' AND '.join(['o.id > ? AND o.id <= ?', *conditions])} ORDER BY o.id"
    first = query.after
    while first < highest:
        for columns in reading.connection.execute(sql, (first, first + size, *parameters)):
            head = _head(reading, columns)
            yield head if wants_object(query, head) else head.id
        first = min(first + size, highest)
        yield first


def _head(reading: Reading, columns: tuple[Any, ...]) -> Head:
    kind, namespace, name, uid = columns[8:12]
    key = ObjectKey(reading.word(kind), uid_text(uid))
    return head_of(columns[:8], key, reading.word(namespace), name, reading.word(columns[1]))


def _state_at(reading: Reading, head: Head, at: int) -> ObjectState | None:
    """Return the state of the object at *at*, None when it was not seen before."""
    if head.observed_at <= at:
        return ObjectState(head=head)
    uncertain = False
    for columns in reading.connection.execute(_HISTORY, (head.id,)):
        observed_at, verb, after = columns[9], columns[5], columns[12]
        if observed_at <= at:
            row = change_of(columns, reading.unpacker)
            return ObjectState(head=_head_with(head, row), uncertain=uncertain)
        if verb == Verb.INFERRED_DELETED and after is not None and after < at:
            uncertain = True
    return None


def _head_with(head: Head, row: ChangeRow) -> Head:
    return Head(
        id=head.id,
        key=head.key,
        namespace=head.namespace,
        name=head.name,
        node=head.node,
        version=row.version,
        seq=row.seq,
        depth=0,
        observed_at=row.observed_at,
    )


def one_object(reading: Reading, uid: str, at: int | None) -> bytes | None:
    """Return one object with its body; of several kinds that share the uid, the one that changed last."""
    for columns in reading.connection.execute(_BY_UID, (uid_key(uid),)).fetchall():
        head = _head(reading, columns)
        state = ObjectState(head=head) if at is None else _state_at(reading, head, at)
        if state is None:
            continue
        seq = state.head.seq
        row = change_of(reading.connection.execute(_CHANGE, (seq,)).fetchone(), reading.unpacker)
        (first_seen_at,) = reading.connection.execute(_FIRST_SEEN, (head.id,)).fetchone()
        return object_item(
            state,
            generation=row.generation,
            body=rebuild(reading, [seq])[seq],
            detail=Detail(row=row, first_seen_at=first_seen_at),
        )
    return None


def history(reading: Reading, uid: str, query: RecordQuery) -> Page | None:
    """Return the versions of one object by (epoch, resourceVersion, gone); None when the journal does not know it."""
    known = [_head(reading, columns) for columns in reading.connection.execute(_BY_UID, (uid_key(uid),)).fetchall()]
    meant = [head for head in known if not query.kind or head.key.kind == query.kind]
    if not meant:
        return None
    cluster = reading.meta("cluster")
    way = "ASC" if query.ascending else "DESC"
    place = query.after or 0
    sql = f"{_VERSIONS} ORDER BY c.epoch {way}, c.resource_version {way}, c.gone {way} LIMIT -1 OFFSET ?"
    items: list[bytes] = []
    last: int | None = None
    for seen, columns in enumerate(reading.connection.execute(sql, (meant[0].id, place)), place):
        # One version at least: pages that give none would have no end where every read begins too late.
        if len(items) == query.limit or (seen > place and reading.is_out_of_patience()):
            last = seen
            break
        row, head = change_and_head(reading, columns, reading.unpacker)
        if wants_change(query, row, head):
            items.append(change_item(row, head, cluster))
    (since,) = reading.connection.execute(_FIRST_SEEN, (meant[0].id,)).fetchone()
    return Page(items=items, last=last, horizon=horizon(reading), since=since)
