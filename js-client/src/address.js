/** Where the gateway is. */

export function defaultUrl() {
  if (typeof window !== "undefined") return "/api/llm";
  return globalThis.process?.env.RHETOR_URL || "http://localhost:8003";
}
