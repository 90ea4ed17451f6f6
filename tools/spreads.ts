/**
 * Lists as arguments: every element goes onto the stack, and a list as long as the data ends the call with a
 * RangeError. `core/lists.ts` has what is needed instead.
 */

/** Calls that take any number of arguments, and are given lists. */
const takers =
  /(?:\.(?:push|unshift|splice|concat|fromCharCode|fromCodePoint|apply|call)|Math\.(?:min|max)|Object\.assign)\s*$/

/**
 * Lines of calls that a list is spread into. Strings, comments and regular expressions are passed over; a comment
 * `few: …` on the line, or on the one before, says why the list is short.
 */
export function spreadCalls(text: string): number[] {
  const rows = text.split('\n')
  const found = new Set<number>()
  /** For each open bracket, whether it is that of such a call. */
  const open: boolean[] = []
  let line = 1
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '\n') line++
    const end = endOfPassedOver(text, at)
    if (end > at) {
      line += text.slice(at, end).split('\n').length - 1
      at = end - 1
    } else if (char === '(' || char === '[' || char === '{')
      open.push(char === '(' && takers.test(text.slice(Math.max(0, at - 30), at)))
    else if (char === ')' || char === ']' || char === '}') open.pop()
    else if (char === '.' && text.startsWith('...', at)) {
      if (open.at(-1) === true) found.add(line)
      at += 2
    }
  }
  return [...found].filter(n => !/\/\/ few: /.test(`${rows[n - 2] ?? ''} ${rows[n - 1] ?? ''}`))
}

/** The end of the comment, string or regular expression that begins at `at`; `at` for none. */
function endOfPassedOver(text: string, at: number): number {
  const found =
    /^(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")/.exec(text.slice(at, at + 4000)) ??
    (/[=(,:!&|?]\s*$/.test(text.slice(Math.max(0, at - 20), at))
      ? /^\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/.exec(text.slice(at, at + 1000))
      : null)
  return found === null ? at : at + found[0].length
}
