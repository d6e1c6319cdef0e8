"""The answers to requests that no application sees, because they are refused on the wire."""

from consumer.web.answers import OUT_OF_MEMORY, refusal

REFUSALS = {
    "malformed_request": refusal(400, "malformed_request", "The request is not well-formed HTTP/1.1."),
    "too_many_pipelined": refusal(400, "too_many_pipelined", "Too many requests were sent ahead of their answers."),
    "tunnel_refused": refusal(400, "tunnel_refused", "CONNECT is not spoken here: this is no proxy."),
    "head_too_slow": refusal(408, "head_too_slow", "The request line and the headers did not arrive in time."),
    "body_too_slow": refusal(408, "body_too_slow", "The body did not arrive in time."),
    "body_too_large": refusal(413, "body_too_large", "The body is larger than this receiver takes."),
    "headers_too_large": refusal(431, "headers_too_large", "The request line and the headers are too large."),
    "out_of_memory": OUT_OF_MEMORY,
}
