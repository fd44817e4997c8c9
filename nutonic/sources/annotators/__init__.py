"""Models that write captions, at OpenAI-compatible endpoints; and the answers that were paid for."""

#: Where answers, and requests that wait for a batch API, lie in a tree. Here, since who only owns them asks nobody.
ANSWERS, REQUESTS = "_nutonic/answers", "_nutonic/requests"
