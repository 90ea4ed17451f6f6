/** A name of the world as part of a label's name: every other character becomes `_`. */
export function labelName(text: string): string {
  return text.replaceAll(/[^a-zA-Z0-9_]/g, '_')
}
