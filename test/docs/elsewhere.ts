/**
 * Blocks of the documents that can't be run or read here, each with the reason. The flags of `tercet` in them are read
 * all the same.
 */
import type { Block } from './pages.ts'

interface Elsewhere {
  page: string
  /** How the block begins. */
  begins: string
  reason: string
}

const picture = 'a drawing of bytes or of what runs'
const registry = 'asks a registry of packages'
const docker = 'needs Docker'
const cluster = 'needs a cluster, or a repository that Flux keeps'
const checkout = 'builds the checkout, which its own tests do (test/package)'

export const elsewhere: readonly Elsewhere[] = [
  { page: 'README.md', begins: 'senders', reason: picture },
  { page: 'README.md', begins: 'npm ci', reason: checkout },
  { page: 'docs/ci-gate.md', begins: 'FAILED: 1', reason: 'output; test/gate compares such runs' },
  { page: 'docs/ci-gate.md', begins: 'jobs:', reason: "is a workflow of GitHub's" },
  { page: 'docs/ci-gate.md', begins: 'telemetry:', reason: "is a pipeline of GitLab's" },
  { page: 'docs/ci-gate.md', begins: '{\n  "version": 1', reason: 'output; src/gate has tests of its shape' },
  { page: 'docs/demo.md', begins: 'The shop sends', reason: 'output of test/end-to-end/demo.test.ts' },
  { page: 'docs/demo.md', begins: 'people', reason: picture },
  { page: 'docs/deploying.md', begins: 'helm install', reason: cluster },
  { page: 'docs/deploying.md', begins: 'repos:', reason: "is pre-commit's configuration" },
  { page: 'docs/deploying.md', begins: 'tercet deploy render --target=compose -o stack && cd', reason: docker },
  { page: 'docs/existing-buckets.md', begins: 'ok   metrics', reason: 'output; docs/start/buckets.md runs the same' },
  { page: 'docs/existing-buckets.md', begins: 'level=info', reason: 'output of test/engines/read-only.test.ts' },
  { page: 'docs/existing-buckets.md', begins: '"index/index_', reason: 'a warning of test/engines/read-only.test.ts' },
  { page: 'docs/formats/joined-filters.md', begins: 'head', reason: picture },
  { page: 'docs/formats/log-table.md', begins: 'head · rows', reason: picture },
  { page: 'docs/formats/log-table.md', begins: '"TCTT"', reason: picture },
  { page: 'docs/formats/log-table.md', begins: 'uvarint combinations', reason: picture },
  { page: 'docs/formats/log-token-filter.md', begins: '"TCTF"', reason: picture },
  { page: 'docs/formats/loki-chunk.md', begins: 'u32 metaLength', reason: picture },
  { page: 'docs/formats/loki-index.md', begins: 'BAAAD700', reason: picture },
  { page: 'docs/formats/prometheus-block.md', begins: '<ULID>/chunks', reason: picture },
  { page: 'docs/formats/prometheus-block.md', begins: '00 03', reason: picture },
  { page: 'docs/formats/tempo-block.md', begins: '<tenant>', reason: picture },
  { page: 'docs/formats/write-ahead-log.md', begins: '<data_dir>', reason: picture },
  { page: 'docs/formats/write-ahead-log.md', begins: 'header', reason: picture },
  { page: 'docs/graduating.md', begins: 'curl -X POST http://metrics-store', reason: 'asks Mimir, Loki and Tempo' },
  { page: 'docs/graduating.md', begins: 'Tercet: history', reason: 'output of bench/graduation.ts' },
  { page: 'docs/logs.md', begins: 'schema_config', reason: "is Loki's configuration (test/engines)" },
  { page: 'docs/releasing.md', begins: 'npm ci', reason: registry },
  { page: 'docs/releasing.md', begins: 'docker', reason: docker },
  { page: 'docs/releasing.md', begins: 'npm publish', reason: registry },
  { page: 'docs/releasing.md', begins: 'npm run build:package', reason: checkout },
  { page: 'docs/releasing.md', begins: 'node_modules/.bin/node tools/build-exec', reason: checkout },
  { page: 'docs/releasing.md', begins: 'helm package', reason: 'pushes to a registry' },
  { page: 'docs/releasing.md', begins: 'npm run build:site', reason: 'test/docs/site.test.ts builds it' },
  { page: 'docs/releasing.md', begins: 'node tools/release-version.ts', reason: 'changes the checkout' },
  { page: 'docs/releasing.md', begins: 'cosign verify', reason: 'asks a registry of images' },
  { page: 'docs/sizing.md', begins: '3 signals', reason: 'formulas' },
  { page: 'docs/sizing.md', begins: 'budget', reason: 'formulas' },
  { page: 'docs/sizing.md', begins: 'samples', reason: 'formulas' },
  { page: 'docs/library.md', begins: 'npm install', reason: registry },
  { page: 'docs/library.md', begins: '✖ a checkout', reason: 'output; docs/start/tests.md runs the same' },
  { page: 'docs/library.md', begins: ' FAIL', reason: 'output of Vitest, which is not installed here' },
  { page: 'docs/library.md', begins: '● a checkout', reason: 'output of Jest, which is not installed here' },
  { page: 'docs/start/compose.md', begins: 'docker build', reason: docker },
  { page: 'docs/start/compose.md', begins: 'cd stack', reason: docker },
  { page: 'docs/start/flux.md', begins: 'git add', reason: cluster },
  { page: 'docs/start/flux.md', begins: 'kubectl', reason: cluster },
  { page: 'docs/start/tests.md', begins: 'npm install', reason: registry },
  {
    page: 'docs/upgrading.md',
    begins: 'tercet: ./data/formats.json',
    reason: 'output of a version that is not there yet',
  },
  { page: 'examples/express/README.md', begins: 'npm install', reason: registry },
  {
    page: 'examples/express/README.md',
    begins: 'requests of GET /cart',
    reason: 'output; test/package runs the example',
  },
  { page: 'examples/rules/README.md', begins: 'npm install', reason: registry },
  { page: 'examples/worker/README.md', begins: 'npm install', reason: registry },
]

export function reasonOf({ page, text }: Block): string | undefined {
  return elsewhere.find(one => one.page === page && text.startsWith(one.begins))?.reason
}
