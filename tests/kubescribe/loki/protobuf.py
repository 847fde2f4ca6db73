"""Loki's push messages as google.protobuf knows them, built at run time from the layout of pkg/push/push.proto."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
_MESSAGES = {
    "LabelPairAdapter": [("name", 1, _FIELD.TYPE_STRING, "", False), ("value", 2, _FIELD.TYPE_STRING, "", False)],
    "EntryAdapter": [
        ("timestamp", 1, _FIELD.TYPE_MESSAGE, ".google.protobuf.Timestamp", False),
        ("line", 2, _FIELD.TYPE_STRING, "", False),
        ("structuredMetadata", 3, _FIELD.TYPE_MESSAGE, ".logproto.LabelPairAdapter", True),
    ],
    "StreamAdapter": [
        ("labels", 1, _FIELD.TYPE_STRING, "", False),
        ("entries", 2, _FIELD.TYPE_MESSAGE, ".logproto.EntryAdapter", True),
        ("hash", 3, _FIELD.TYPE_UINT64, "", False),
    ],
    "PushRequest": [
        ("streams", 1, _FIELD.TYPE_MESSAGE, ".logproto.StreamAdapter", True),
        ("format", 2, _FIELD.TYPE_STRING, "", False),
    ],
}


def _request_class():
    file = descriptor_pb2.FileDescriptorProto(
        name="push.proto", package="logproto", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, is_many in fields:
            label = _FIELD.LABEL_REPEATED if is_many else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                added.type_name = of
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("logproto.PushRequest"))


PushRequest = _request_class()


def decode(body):
    """Return the streams of a request: (labels, [(ns, line, {name: value})])."""
    request = PushRequest()
    request.ParseFromString(body)
    return [
        (
            stream.labels,
            [
                (
                    entry.timestamp.seconds * 10**9 + entry.timestamp.nanos,
                    entry.line,
                    {pair.name: pair.value for pair in entry.structuredMetadata},
                )
                for entry in stream.entries
            ],
        )
        for stream in request.streams
    ]
