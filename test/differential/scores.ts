/** The table of scores in README: node test/differential/scores.ts prints it. */
import { dialects } from './dialects.ts'
import { readRecording, readUnequal } from './recording.ts'

const grouped = (value: number): string => value.toLocaleString('en-US')

/** A row for each dialect, of what is recorded. */
export function scoreTable(): string[] {
  const rows = dialects.map(({ name, language, server }) => {
    const recording = readRecording(name)
    if (recording === undefined) throw new Error(`nothing is recorded of ${server}`)
    const { version, baseMs, answers } = recording
    const equal = answers.size - Object.keys(readUnequal(name)).length
    const share = ((equal / answers.size) * 100).toFixed(1)
    const date = new Date(baseMs).toISOString().slice(0, 10)
    const cells = [language, `${server} ${version}`, grouped(answers.size), `${grouped(equal)} (${share} %)`, date]
    return `| ${cells.join(' | ')} |`
  })
  return [
    '| language and API | compared with | questions | equal answers | recorded |',
    '|---|---|---|---|---|',
    ...rows,
  ]
}

if (import.meta.main) console.log(scoreTable().join('\n'))
