# cython: language_level=3, boundscheck=True, wraparound=False, initializedcheck=False
"""
The compiled step: a stream's encoded entries looked at, and written anew with metadata. Pure; entries.py says when.

It knows what Loki's clients write, and nothing else: fields in their order, each once, no number longer than need be,
texts in UTF-8. To anything else the answer is None, and google.protobuf decides; so nothing here is an error. What it
reads are a stranger's bytes: each access is checked against the buffer (boundscheck), and each field against the end
of the one that it lies in.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memcpy

ctypedef const unsigned char[::1] Bytes

cdef enum:
    # The keys of fields: of a stream, an entry, its time, a pair.
    ENTRY = 0x12
    TIME = 0x0A
    LINE = 0x12
    PAIR = 0x1A
    SECONDS = 0x08
    NANOS = 0x10
    NAME = 0x0A
    VALUE = 0x12

cdef int64_t SECOND = 1_000_000_000
cdef int64_t MAX_SECONDS = 9_000_000_000  # in nanoseconds they fit into 63 bits


def look(Bytes entries):
    """Return of *entries* the number, the earliest and the latest time, ns, and whether one has metadata; or None."""
    cdef Py_ssize_t at = 0, size = entries.shape[0], end, inner
    cdef int64_t count = 0, first_at = INT64_MAX, last_at = 0, time
    cdef bint has_metadata = False
    while at < size:
        end = field(entries, &at, size, ENTRY)
        if end <= 0:
            return None
        inner = field(entries, &at, end, TIME)
        time = time_in(entries, at, inner) if inner > 0 else inner
        if time < 0:
            return None
        at = inner or at
        inner = field(entries, &at, end, LINE)
        if inner < 0 or inner and not is_text(entries, at, inner):
            return None
        at = inner or at
        while at < end:
            inner = field(entries, &at, end, PAIR)
            if inner <= 0 or not is_pair(entries, at, inner):
                return None
            has_metadata = True
            at = inner
        count += 1
        first_at = min(first_at, time)
        last_at = max(last_at, time)
    return (count, first_at, last_at, has_metadata) if count else None


def append(entries, Bytes metadata):
    """Return *entries* (bytes) with *metadata* at the end of each, or None; *entries* itself where that is nothing."""
    cdef Bytes data = entries
    cdef Py_ssize_t at = 0, size = data.shape[0], end, length, total = 0, added = metadata.shape[0], to = 0
    while at < size:
        end = field(data, &at, size, ENTRY)
        if end <= 0:
            return None
        length = end - at + added
        total += 1 + width(length) + length
        at = end
    if not added or not total:
        return entries
    cdef bytes made = PyBytes_FromStringAndSize(NULL, total)
    cdef unsigned char[::1] out = <unsigned char[:total]> <unsigned char *> PyBytes_AS_STRING(made)
    at = 0
    while at < size:
        end = field(data, &at, size, ENTRY)
        if end <= 0:
            return None  # cannot be: it was looked at above
        out[to] = ENTRY
        to = put_number(out, to + 1, end - at + added)
        to = put(out, to, data, at, end - at)
        to = put(out, to, metadata, 0, added)
        at = end
    if to != total:
        raise AssertionError("the entries have another length than was counted")
    return made


cdef inline Py_ssize_t field(Bytes data, Py_ssize_t *at, Py_ssize_t end, unsigned char key) except? -1:
    """Return where the body of the field at *at* ends, *at* moved to where it begins; 0: none of *key*; -1: unusual."""
    if at[0] >= end or data[at[0]] != key:
        return 0
    at[0] += 1
    cdef int64_t length = number(data, at, end)
    return -1 if length < 0 or length > end - at[0] else at[0] + length


cdef inline int64_t number(Bytes data, Py_ssize_t *at, Py_ssize_t end) except? -1:
    """Return the number at *at*, moved behind it; -1 for one that is torn, longer than need be or than 35 bits."""
    cdef int64_t value = 0
    cdef int shift = 0
    cdef unsigned char byte
    while at[0] < end and shift < 35:
        byte = data[at[0]]
        at[0] += 1
        value |= <int64_t> (byte & 0x7F) << shift
        if byte < 0x80:
            return value if byte or not shift else -1
        shift += 7
    return -1


cdef inline int64_t time_in(Bytes data, Py_ssize_t at, Py_ssize_t end) except? -1:
    """Return the time between *at* and *end*, ns; -1 for an unusual one."""
    cdef int64_t seconds = 0, nanos = 0
    if at < end and data[at] == SECONDS:
        at += 1
        seconds = number(data, &at, end)
    if at < end and seconds >= 0 and data[at] == NANOS:
        at += 1
        nanos = number(data, &at, end)
    if at != end or not 0 <= seconds < MAX_SECONDS or not 0 <= nanos < SECOND:
        return -1
    return seconds * SECOND + nanos


cdef bint is_pair(Bytes data, Py_ssize_t at, Py_ssize_t end) except? -1:
    cdef Py_ssize_t inner = field(data, &at, end, NAME)
    if inner < 0 or inner and not is_text(data, at, inner):
        return False
    at = inner or at
    inner = field(data, &at, end, VALUE)
    if inner < 0 or inner and not is_text(data, at, inner):
        return False
    return (inner or at) == end


cdef inline bint is_text(Bytes data, Py_ssize_t at, Py_ssize_t end) except? -1:
    """Tell whether what lies between *at* and *end* is UTF-8."""
    if at == end:
        return True
    if not 0 <= at < end <= data.shape[0]:
        raise IndexError("the text does not lie where it was found")
    # Without a check of each byte, the compiler takes sixteen at a time.
    cdef const unsigned char *text = &data[at]
    cdef Py_ssize_t size = end - at, place
    cdef unsigned char seen = 0
    for place in range(size):
        seen |= text[place]
    if seen < 0x80:
        return True
    try:
        PyUnicode_DecodeUTF8(<const char *> text, size, NULL)
    except UnicodeDecodeError:
        return False
    return True


cdef inline int width(Py_ssize_t value) noexcept:
    """Return how many bytes the number *value* takes."""
    cdef int bytes_ = 1
    while value > 0x7F:
        value >>= 7
        bytes_ += 1
    return bytes_


cdef inline Py_ssize_t put_number(unsigned char[::1] out, Py_ssize_t to, Py_ssize_t value) except -1:
    """Write *value* at *to*; return what is behind it, as `put` does."""
    while value > 0x7F:
        out[to] = value & 0x7F | 0x80
        to += 1
        value >>= 7
    out[to] = value
    return to + 1


cdef inline Py_ssize_t put(unsigned char[::1] out, Py_ssize_t to, Bytes data, Py_ssize_t at, Py_ssize_t count) except -1:
    if not 0 <= count <= data.shape[0] - at or count > out.shape[0] - to:
        raise IndexError("the entries do not lie where they were counted")
    if count:
        memcpy(&out[to], &data[at], count)
    return to + count
