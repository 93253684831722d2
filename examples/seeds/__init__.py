"""Programs of other frameworks' documentation, written for headrace: each folder is one of them.

`bentoml_llm` and `bentoml_tts` are those of BentoML's page on stream responses; `textbot`, `chatbot` and `batchbot` are
those of Ray Serve's tutorial on streaming; `llm_streaming` is that of an article on streams of OpenAI's API. What is
shared stands beside the folders. A test in each says what holds.
"""
