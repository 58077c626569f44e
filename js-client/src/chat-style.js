/**
 * How the chat looks: light or dark as its page is, by the page's `color-scheme`. Pages change it by the custom
 * properties, or by ::part(log | question | answer | form).
 */

export const STYLE = `
:host {
  --ink: var(--rhetor-ink, light-dark(#1c2024, #e4e7ea));
  --quiet: var(--rhetor-quiet, light-dark(#5f6872, #97a1ab));
  --paper: var(--rhetor-paper, light-dark(#ffffff, #14181b));
  --sunk: var(--rhetor-sunk, light-dark(#f3f2ed, #1f252a));
  --line: var(--rhetor-line, light-dark(#e2e0d8, #2c333a));
  --accent: var(--rhetor-accent, light-dark(#2c5a4c, #8ccdb8));
  --on-accent: var(--rhetor-on-accent, light-dark(#ffffff, #0e211a));
  --bad: var(--rhetor-bad, light-dark(#a03328, #f2998e));
  --warn: var(--rhetor-warn, light-dark(#7d5800, #e3b863));
  --radius: var(--rhetor-radius, 12px);
  display: flex;
  flex-direction: column;
  box-sizing: border-box;
  block-size: 32rem;
  max-block-size: 100%;
  min-block-size: 14rem;
  color: var(--ink);
  background: var(--paper);
  border: 1px solid var(--line);
  border-radius: var(--radius);
  overflow: hidden;
  font: var(--rhetor-font, 15px/1.6 system-ui, sans-serif);
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before { box-sizing: border-box; }
.unseen { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

#log { flex: 1; min-block-size: 0; overflow-y: auto; overscroll-behavior: contain; padding: 1.25rem 1.25rem 0.5rem; display: flex; flex-direction: column; gap: 1.1rem; scrollbar-width: thin; }
#log:focus-visible { outline-offset: -3px; border-radius: var(--radius); }
#empty { margin: auto; padding: 1rem; color: var(--quiet); text-align: center; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.question { align-self: flex-end; max-inline-size: min(85%, 38rem); padding: 0.5rem 0.9rem; background: var(--sunk); border-radius: var(--radius); border-end-end-radius: 3px; }
.answer { max-inline-size: 46rem; }
.answer.streaming .text::after { content: ""; display: inline-block; inline-size: 0.5em; block-size: 1.05em; margin-inline-start: 0.1em; vertical-align: text-bottom; border-radius: 1px; background: var(--accent); animation: wait 1.1s steps(2, jump-none) infinite; }
@keyframes wait { to { opacity: 0.15; } }
.thoughts { margin-block-end: 0.5rem; color: var(--quiet); font-size: 0.88em; }
.thoughts summary { cursor: pointer; inline-size: fit-content; }
.thoughts .text { margin-block-start: 0.35rem; padding-inline-start: 0.8rem; border-inline-start: 2px solid var(--line); }
.wrong { margin: 0.35rem 0 0; color: var(--bad); overflow-wrap: anywhere; }
.told { display: flex; flex-wrap: wrap; align-items: center; gap: 0.2rem 0.6rem; min-block-size: 1.9rem; margin-block-start: 0.35rem; color: var(--quiet); font-size: 0.8em; }
.told .after { color: var(--warn); overflow-wrap: anywhere; }
.told .after::before { content: "↻ "; }

form { display: flex; align-items: flex-end; gap: 0.5rem; margin: 0.5rem 0.75rem 0.75rem; padding: 0.35rem 0.35rem 0.35rem 0.9rem; background: var(--paper); border: 1px solid var(--line); border-radius: var(--radius); }
form:focus-within { border-color: var(--accent); }
textarea { flex: 1; min-inline-size: 0; field-sizing: content; max-block-size: 9.5em; padding: 0.3rem 0; resize: none; border: 0; background: none; color: inherit; font: inherit; }
textarea:focus-visible { outline: 0; }
textarea::placeholder { color: var(--quiet); opacity: 1; }
button { cursor: pointer; font: inherit; font-weight: 500; line-height: 1.4; padding: 0.38rem 1rem; border: 1px solid transparent; border-radius: calc(var(--radius) * 0.7); background: var(--accent); color: var(--on-accent); }
button:hover { filter: brightness(1.08); }
#stop { background: none; border-color: var(--line); color: var(--ink); }
#stop::before { content: ""; display: inline-block; inline-size: 0.62em; block-size: 0.62em; margin-inline-end: 0.5em; border-radius: 2px; background: var(--bad); }
.retry { padding: 0.08rem 0.6rem; background: none; border-color: var(--line); color: var(--quiet); font-weight: 400; }
.answer:not(:last-child) .retry { display: none; }
.retry:hover { color: var(--ink); filter: none; }
@media (prefers-reduced-motion: reduce) { .answer.streaming .text::after { animation: none; } }
`;
