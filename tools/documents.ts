/** The documents of this repository, as a site and as tests see them. */

/** The id of a heading, as GitHub makes it: `## The gate, and CI` is `the-gate-and-ci`. */
export function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, '')
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

export interface Topic {
  title: string
  /** In the order of reading. */
  pages: readonly string[]
}

/** Who reads, and what about. A page that is in none of them is listed under "More". */
export const topics: readonly Topic[] = [
  {
    title: 'For whom',
    pages: [
      'README.md',
      'docs/demo.md',
      'docs/start/opentelemetry.md',
      'docs/start/tests.md',
      'docs/start/compose.md',
      'docs/start/flux.md',
      'docs/start/buckets.md',
    ],
  },
  {
    title: 'In and out',
    pages: [
      'docs/metrics.md',
      'docs/logs.md',
      'docs/traces.md',
      'docs/scraping.md',
      'docs/alerting.md',
      'docs/agent.md',
      'docs/web.md',
      'docs/http-api.md',
    ],
  },
  { title: 'For tests', pages: ['docs/library.md', 'docs/ci-gate.md', 'examples/README.md'] },
  {
    title: 'Running it',
    pages: [
      'docs/configuration.md',
      'docs/deploying.md',
      'docs/operating.md',
      'docs/sizing.md',
      'docs/troubleshooting.md',
      'docs/security.md',
      'docs/upgrading.md',
      'docs/existing-buckets.md',
      'docs/graduating.md',
      'docs/releasing.md',
    ],
  },
]
