"""From the bytes of a watch to records: decoding, churn, redaction, actor, and the rules of watching."""
