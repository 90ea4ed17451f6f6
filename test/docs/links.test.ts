/** Links of the documents lead somewhere, and the commands that they name are there with their flags. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { problemOfMention, tercetCommands, wordsOf } from './command-lines.ts'
import { anchorsOf, linksOf, pages, placeOf, type Link } from './pages.ts'

function problemOf(link: Link): string | undefined {
  if (/^(https?|mailto):/.test(link.target)) return undefined
  const { file, anchor } = placeOf(link)
  if (!existsSync(file)) return `${file} is not there`
  if (anchor === '' || statSync(file).isDirectory() || anchorsOf(file).has(anchor)) return undefined
  return `${file} has no heading #${anchor}`
}

test('every link leads to a file, and to a heading of it', t => {
  const links = pages.flatMap(linksOf)
  t.diagnostic(`${links.length} links of ${pages.length} pages`)
  assert.ok(links.length > 100)
  assert.deepEqual(
    links.flatMap(link => {
      const problem = problemOf(link)
      return problem === undefined ? [] : [`${link.page}:${link.line}: ${link.target}: ${problem}`]
    }),
    [],
  )
})

test('every verb and flag that a sentence names is there', async t => {
  const problems: string[] = []
  let mentions = 0
  for (const page of pages) {
    const spans = readFileSync(page, 'utf8').matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)
    for (const [, text = ''] of spans) {
      const words = wordsOf(text)
      const commands = words[0] === 'tercet' || words[0] === 'npx' ? tercetCommands(text) : []
      for (const command of commands) {
        mentions++
        const problem = await problemOfMention(command)
        if (problem !== undefined) problems.push(`${page}: ${problem}`)
      }
    }
  }
  t.diagnostic(`${mentions} commands in sentences`)
  assert.ok(mentions > 20)
  assert.deepEqual(problems, [])
})

test('no document runs the program by a path of the checkout', () => {
  const ways = /node_modules\/\.bin\/node src\/app\/main\.ts/
  assert.deepEqual(
    pages.filter(page => ways.test(readFileSync(page, 'utf8'))),
    [],
  )
})
