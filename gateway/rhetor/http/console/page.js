// What our pages share: elements, the token, and how numbers are written.

const TOKEN = "rhetor-token"; // kept by the browser until the tab is closed

export const $ = (id) => document.getElementById(id);
export const token = () => sessionStorage.getItem(TOKEN) ?? "";
export const authorization = () => (token() ? { authorization: `Bearer ${token()}` } : {});
export const dollars = (micros, most, least = 0) =>
  (micros / 1e6).toLocaleString("en", { maximumFractionDigits: most, minimumFractionDigits: least });

// The gateway wants a token, or another one.
export class Refused extends Error {}

export async function get(path) {
  const response = await fetch(path, { headers: authorization() });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

// An element with a class and what is in it: texts and elements.
export function make(name, className, ...inside) {
  const element = document.createElement(name);
  element.className = className;
  element.append(...inside);
  return element;
}

export function askForToken() {
  if (!$("token-form").hidden) return;
  $("token-wrong").textContent = token() ? "This token is not known here." : "";
  sessionStorage.removeItem(TOKEN);
  $("token-form").hidden = false;
  $("token").focus();
}

// Calls back when there is another token.
export function onToken(use) {
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, $("token").value);
    $("token").value = "";
    $("token-form").hidden = true;
    use();
  });
}
