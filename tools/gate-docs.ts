/** Prints the tables of docs/ci-gate.md from the table of rules: node tools/gate-docs.ts */
import { kinds, readingNames, readingTable, ruleOf } from '../src/gate/rule-table.ts'

console.log(`| key | severity | thresholds | what is found |
|---|---|---|---|`)
for (const kind of kinds) {
  const { severity, help, thresholds } = ruleOf(kind)
  const shown = Object.entries(thresholds).map(([name, { fallback, help: what }]) => `\`${name}: ${fallback}\` ${what}`)
  console.log(`| \`${kind}\` | ${severity} | ${shown.join('<br>')} | ${help} |`)
}
console.log(`
| key of \`reading\` | default | what |
|---|---|---|`)
for (const name of readingNames)
  console.log(`| \`${name}\` | ${readingTable[name].fallback} | ${readingTable[name].help} |`)
