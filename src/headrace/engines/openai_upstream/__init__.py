"""Models behind the API of OpenAI, as an engine: OpenAI, Azure, and every server that speaks the same (`engine`)."""
