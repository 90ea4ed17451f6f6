/** Where a verb's lines go. */

/** Each takes one line, or several with line breaks between them, without the last line break. */
export interface Output {
  out: (text: string) => void
  err: (text: string) => void
}

export const terminalOutput: Output = {
  out: text => {
    process.stdout.write(`${text}\n`)
  },
  err: text => {
    process.stderr.write(`${text}\n`)
  },
}
