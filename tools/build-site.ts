/**
 * Makes a site of the documents in dist/site: plain pages that need no server, with a search that needs none either.
 *
 *   node tools/build-site.ts [--out=DIR]
 */
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { parseArgs } from 'node:util'
import MarkdownIt, { type Token } from 'markdown-it'
import MiniSearch from 'minisearch'
import { anchorOf, topics, type Topic } from './documents.ts'

const sources: readonly string[] = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'deploy/chart/README.md',
  'deploy/examples/README.md',
  'examples/README.md',
  ...globSync(['docs/**/*.md', 'examples/*/README.md']).map(page => normalize(page)),
]
  .filter((page, at, all) => existsSync(page) && all.indexOf(page) === at)
  .sort()

/** Where a document is in the site: the README is its first page, and what is in docs/ is at the root. */
export function addressOf(page: string): string {
  if (page === 'README.md') return 'index.html'
  return page.replace(/^docs\//, '').replace(/\.md$/, '.html')
}

interface Section {
  /** Address and anchor. */
  id: string
  title: string
  heading: string
  text: string
  beginning: string
}

interface Page {
  source: string
  address: string
  title: string
  html: string
  sections: Section[]
}

const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false })
const escaped = (text: string): string => markdown.utils.escapeHtml(text)

markdown.renderer.rules['table_open'] = () =>
  '<div class="table" tabindex="0" role="group" aria-label="Table"><table>\n'
markdown.renderer.rules['table_close'] = () => '</table></div>\n'
for (const rule of ['code_block', 'fence'] as const)
  markdown.renderer.rules[rule] = (tokens, at) =>
    `<pre tabindex="0"><code>${escaped(tokens[at]!.content)}</code></pre>\n`

/** Text of inline tokens, without their marks. */
function textOf(token: Token | undefined): string {
  const children = token?.children ?? []
  return children.map(({ type, content }) => (type === 'softbreak' ? ' ' : content)).join('')
}

/** A link to a file of the repository becomes one to its page; one to what has no page is left out. */
function pageLink(source: string, target: string): string | undefined {
  if (/^(https?|mailto):/.test(target)) return target
  const [path = '', anchor] = target.split('#')
  const place = path === '' ? source : normalize(join(dirname(source), path)).replace(/\/$/, '')
  const page = [place, join(place, 'README.md')].find(one => sources.includes(one))
  if (page === undefined) return undefined
  const address = relative(dirname(addressOf(source)), addressOf(page))
  return anchor === undefined ? address : `${address}#${anchor}`
}

function mendLinks(source: string, tokens: readonly Token[]): string[] {
  const images: string[] = []
  let isLeftOut = false
  for (const token of tokens.flatMap(one => [one, ...(one.children ?? [])])) {
    if (token.type === 'link_open') {
      const target = pageLink(source, String(token.attrGet('href')))
      isLeftOut = target === undefined
      if (target === undefined) token.tag = 'span'
      token.attrs = target === undefined ? [] : [['href', target]]
    }
    if (token.type === 'link_close' && isLeftOut) {
      token.tag = 'span'
      isLeftOut = false
    }
    if (token.type === 'image') {
      const file = normalize(join(dirname(source), String(token.attrGet('src'))))
      images.push(file)
      token.attrSet('src', relative(dirname(addressOf(source)), file.replace(/^docs\//, '')))
    }
  }
  return images
}

/** Sections begin at headings; code belongs to them, so that flags and keys are found. */
function readPage(source: string, copyImage: (file: string) => void): Page {
  const tokens = markdown.parse(readFileSync(source, 'utf8'), {})
  const address = addressOf(source)
  const sections: Section[] = []
  const anchors = new Map<string, number>()
  let title = source
  tokens.forEach((token, at) => {
    if (token.type === 'heading_open') {
      const heading = textOf(tokens[at + 1])
      const anchor = anchorOf(heading)
      const before = anchors.get(anchor) ?? 0
      anchors.set(anchor, before + 1)
      const id = before === 0 ? anchor : `${anchor}-${before}`
      token.attrSet('id', id)
      if (token.tag === 'h1') title = heading
      sections.push({ id: `${address}#${id}`, title, heading, text: '', beginning: '' })
    } else if (['inline', 'code_block', 'fence'].includes(token.type) && tokens[at - 1]?.type !== 'heading_open') {
      const section = sections.at(-1)
      if (section !== undefined) section.text += `${token.type === 'inline' ? textOf(token) : token.content} `
    }
  })
  for (const image of mendLinks(source, tokens)) copyImage(image)
  for (const section of sections) section.beginning = section.text.trim().slice(0, 120)
  return { source, address, title, html: markdown.renderer.render(tokens, markdown.options, {}), sections }
}

function navigation(pages: readonly Page[], of: Page): string {
  const listed = new Set(topics.flatMap(topic => topic.pages))
  const others: Topic = { title: 'More', pages: pages.map(({ source }) => source).filter(page => !listed.has(page)) }
  return [...topics, others]
    .map(topic => {
      const items = topic.pages.flatMap(source => {
        const page = pages.find(one => one.source === source)
        if (page === undefined) return []
        const current = page === of ? ' aria-current="page"' : ''
        return `<li><a href="${relative(dirname(of.address), page.address)}"${current}>${escaped(page.title)}</a></li>`
      })
      return `<h2>${topic.title}</h2>\n<ul>\n${items.join('\n')}\n</ul>`
    })
    .join('\n')
}

function documentOf(page: Page, pages: readonly Page[]): string {
  const depth = page.address.split('/').length - 1
  const root = '../'.repeat(depth)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.title)}${page.title === 'Tercet' ? '' : ' – Tercet'}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${root}style.css">
<script defer src="${root}minisearch.js"></script>
<script defer src="${root}search.js"></script>
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header>
<a href="${root}index.html">Tercet</a>
<div id="search" role="search" data-root="${root}" hidden>
<input type="search" placeholder="Search (press /)" aria-label="Search the documents" autocomplete="off">
<ul id="found" aria-live="polite" aria-label="Found"></ul>
</div>
</header>
<div class="columns">
<nav aria-label="Documents">
${navigation(pages, page)}
</nav>
<main id="content" tabindex="-1">
${page.html}</main>
</div>
</body>
</html>
`
}

const searchOptions = { fields: ['heading', 'title', 'text'], storeFields: ['title', 'heading', 'beginning'] }

/** The number of pages. */
export function buildSite(out: string): number {
  rmSync(out, { recursive: true, force: true })
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(out, name)), { recursive: true })
    writeFileSync(join(out, name), text)
  }
  const pages = sources.map(source =>
    readPage(source, image => {
      const to = join(out, image.replace(/^docs\//, ''))
      mkdirSync(dirname(to), { recursive: true })
      copyFileSync(image, to)
    }),
  )
  for (const page of pages) write(page.address, documentOf(page, pages))
  const search = new MiniSearch<Section>(searchOptions)
  search.addAll(pages.flatMap(({ sections }) => sections))
  write('search-index.js', `window.tercetSearch = ${JSON.stringify({ index: search, options: searchOptions })}\n`)
  write(
    'minisearch.js',
    readFileSync('node_modules/minisearch/dist/umd/index.js', 'utf8').replace(/\n\/\/# source.*/, ''),
  )
  for (const file of ['style.css', 'search.js']) copyFileSync(join('tools/site', file), join(out, file))
  return pages.length
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist/site' } } })
  const count = buildSite(values.out)
  const bytes = globSync('**/*', { cwd: values.out, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
  console.log(`built ${values.out}: ${count} pages, ${(bytes / 1e6).toFixed(1)} MB`)
}
