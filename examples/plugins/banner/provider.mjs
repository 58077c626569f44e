// Large letters made of small ones: a model says of which.
import { Failure, Provider, finished, text, usage } from "rhetor-provider";

const INKS = { hash: () => "#", block: () => "█", same: (letter) => letter };
const WIDTH = 72; // characters of a line, as terminals have them
const LONGEST = 2_000;
const HEIGHT = 5;

/** Five rows of five dots for each letter, a row in each number. */
const FONT = {
  A: [14, 17, 31, 17, 17], B: [30, 17, 30, 17, 30], C: [15, 16, 16, 16, 15], D: [30, 17, 17, 17, 30],
  E: [31, 16, 30, 16, 31], F: [31, 16, 30, 16, 16], G: [15, 16, 19, 17, 15], H: [17, 17, 31, 17, 17],
  I: [31, 4, 4, 4, 31], J: [7, 2, 2, 18, 12], K: [17, 18, 28, 18, 17], L: [16, 16, 16, 16, 31],
  M: [17, 27, 21, 17, 17], N: [17, 25, 21, 19, 17], O: [14, 17, 17, 17, 14], P: [30, 17, 30, 16, 16],
  Q: [14, 17, 21, 18, 13], R: [30, 17, 30, 18, 17], S: [15, 16, 14, 1, 30], T: [31, 4, 4, 4, 4],
  U: [17, 17, 17, 17, 14], V: [17, 17, 17, 10, 4], W: [17, 17, 21, 27, 17], X: [17, 10, 4, 10, 17],
  Y: [17, 10, 4, 4, 4], Z: [31, 2, 4, 8, 31], 0: [14, 19, 21, 25, 14], 1: [4, 12, 4, 4, 14],
  2: [30, 1, 14, 16, 31], 3: [30, 1, 14, 1, 30], 4: [18, 18, 31, 2, 2], 5: [31, 16, 30, 1, 30],
  6: [14, 16, 30, 17, 14], 7: [31, 1, 2, 4, 4], 8: [14, 17, 14, 17, 14], 9: [14, 17, 15, 1, 14],
  " ": [0, 0, 0, 0, 0], ".": [0, 0, 0, 0, 4], ",": [0, 0, 0, 4, 8], "!": [4, 4, 4, 0, 4],
  "?": [14, 1, 6, 0, 4], "-": [0, 0, 14, 0, 0], ":": [0, 4, 0, 4, 0], "'": [4, 4, 0, 0, 0],
};
const ELSE = [31, 17, 17, 17, 31]; // what has no letter here

export default class Banner extends Provider {
  async *stream(request) {
    const ink = Object.hasOwn(INKS, request.model) ? INKS[request.model] : undefined;
    if (!ink) {
      throw new Failure(`no ink '${request.model}'; there are ${Object.keys(INKS).join(", ")}`, "model_not_found");
    }
    if (request.text.length > LONGEST) throw new Failure(`a banner holds ${LONGEST} letters`, "request_too_large");
    const words = request.text.split(/\s+/).filter(Boolean);
    if (!words.length) throw new Failure("there is nothing to be written: the message is empty", "invalid_request");
    const most = request.option("max_tokens") ?? Infinity; // its tokens are its lines
    let told = 0;
    for (const line of lines(words)) {
      for (let row = 0; row < HEIGHT; row++, told++) {
        if (told >= most) {
          yield usage({ input_tokens: words.length, output_tokens: told });
          yield finished("length");
          return;
        }
        yield text(`${drawn(line, row, ink)}\n`);
      }
      yield text("\n");
      await new Promise(setImmediate); // where a call that is cancelled ends
      if (request.signal.aborted) return;
    }
    yield usage({ input_tokens: words.length, output_tokens: told });
  }

  testConnection() {
    return `${Object.keys(FONT).length} letters are cast`;
  }
}

/** Words in lines that are not too long. */
function* lines(words) {
  const most = Math.floor(WIDTH / 6);
  let line = "";
  for (const word of words.flatMap((each) => each.match(new RegExp(`.{1,${most}}`, "gsu")))) {
    const longer = line ? `${line} ${word}` : word;
    if (longer.length > most) {
      yield line;
      line = word;
    } else {
      line = longer;
    }
  }
  if (line) yield line;
}

function drawn(line, row, ink) {
  const parts = Array.from(line.toUpperCase(), (letter) => {
    const dots = (Object.hasOwn(FONT, letter) ? FONT[letter] : ELSE)[row];
    return Array.from({ length: HEIGHT }, (_, n) => (dots & (16 >> n) ? ink(letter) : " ")).join("");
  });
  return parts.join(" ").trimEnd();
}
