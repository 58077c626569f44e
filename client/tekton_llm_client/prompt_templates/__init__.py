"""Prompts with gaps: kept in files, filled in safely, never half.

Templates in Jinja's language need `pip install 'tekton-llm-client[templates]'`.
"""

from tekton_llm_client.prompt_templates.loader import load_template
from tekton_llm_client.prompt_templates.registry import PromptTemplateRegistry
from tekton_llm_client.prompt_templates.template import PromptTemplate, TemplateError

__all__ = ["PromptTemplate", "PromptTemplateRegistry", "TemplateError", "load_template"]
