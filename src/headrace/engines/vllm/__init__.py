"""The engine `vllm`: an adapter over vLLM's own asynchronous engine. `headrace.engines.vllm.engine` is the way in;
importing it does not import vLLM, starting the engine does.
"""
