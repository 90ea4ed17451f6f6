/** `tercet check rules`: files of rules, and unit tests of rules. */
import { BadDataError } from '#core/errors.ts'
import { systemFiles } from '#core/files.ts'
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const checkRules = makeVerb({
  name: 'check rules',
  summary: 'Checks files of rules, or runs unit tests of rules, as promtool does; exit code 1 where one is wrong.',
  flags: [
    { name: 'test', kind: 'switch', help: "The files are unit tests, in promtool's format." },
    { name: 'run', kind: 'text', placeholder: 'NAME', help: 'With --test: the test of this name alone.' },
  ],
  words: { shown: 'FILE…', expected: 'files', least: 1, most: Infinity, areFiles: true },
  examples: [
    'tercet check rules rules/*.yml',
    'tercet check rules --test tests.yml',
    "tercet check rules --test --run='one of them' tests.yml",
  ],
  async run(given) {
    const only = given.optional('run')
    const isTest = given.isOn('test')
    if (only !== undefined && !isTest) throw new BadDataError('check rules takes --run with --test alone')
    const { checkRuleFiles, runRuleTests } = await import('#ops/check-files.ts')
    return isTest
      ? runRuleTests(given.words, systemFiles, only === undefined ? [] : [only], terminalOutput)
      : checkRuleFiles(given.words, systemFiles, terminalOutput)
  },
})
