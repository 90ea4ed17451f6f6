/** A row of the table of costs: one figure a program, of one piece of work. */
export interface ResultRow {
  work: string
  unit: string
  values: Record<string, number>
  note?: string
}

/** Prints rows as lines of JSON with `--json`, else as a table of Markdown. */
export function printRows(rows: readonly ResultRow[], title: string): void {
  if (process.argv.includes('--json')) {
    for (const row of rows) console.log(JSON.stringify(row))
    return
  }
  console.log(`\n${title}\n`)
  console.log('| work | unit | Tercet | note |\n|---|---|---:|---|')
  for (const { work, unit, values, note = '' } of rows)
    console.log(`| ${work} | ${unit} | ${figure(values['tercet'] ?? NaN)} | ${note} |`)
}

export function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3)
}
