/** JSON as VictoriaLogs writes it into fields: also safe within HTML. */

const escaped = /[<']|\\[bf]|\\\\/g
const forms: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  "'": '\\u0027',
  '\\b': '\\u0008',
  '\\f': '\\u000c',
}

export function shownJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(escaped, text => forms[text] ?? text)
}
