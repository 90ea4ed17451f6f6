/** Traces by id, states, and what is not there. */
import type { Question } from '../question.ts'
import { wholeRange } from './search-questions.ts'

/** Ids as a path has them. */
const ids = [
  'c0ffee00000000000000000000000001',
  'c0ffee00000000000000000000000003',
  'c0ffee00000000000000000000000004',
  'c0ffee00000000000000000000000005',
  'c0ffee00000000000000000000000006',
  'c0ffee00000000000000000000000013',
  'c0ffee00000000000000000000000020',
  'c0ffee00000000000000000000000021',
  'c0ffee00000000000000000000000030',
  'c0ffee00000000000000000000000031',
  'c0ffee00000000000000000000000034',
  'c0ffee00000000000000000000000040',
  'c0ffee00000000000000000000000050',
  '5b000000000000000000000000000001',
  'C0FFEE00000000000000000000000050',
  '1',
  '01',
  '00000000000000000000000000000001',
  '0000000000000000000000000000000000000001',
  'b6c953a50a99237526851ce62e902d',
  '00b6c953a50a99237526851ce62e902d',
  '5af7183fb1d4cf5f',
  'ffffffffffffffffffffffffffffffff',
  'c0ffee000000000000000000000000ff',
  'xyz',
  'c0ffee0000000000000000000000005z',
  '0x1',
  '0',
  'c0ffee00-0000-0000-0000-000000000050',
  ' 1',
]

const paths = [
  '/api/echo',
  '/api/status/buildinfo',
  '/status/version',
  '/api/overrides',
  '/api/metrics/summary?q={}&groupBy=name',
  '/api/unknown',
  '/api/traces/',
  '/api/traces',
  '/api/v2/traces/',
  '/api/v3/traces/1',
  '/api/search/unknown',
  '/api/v2/search',
  '/api/v2/search/unknown',
  '/api/search/tag/x',
  '/api/metrics',
  '/api/metrics/unknown',
]

const posted = ['/api/echo', '/api/traces/1', '/api/v2/traces/1', '/api/search/tags', '/api/status/buildinfo']

export function otherQuestions(baseMs: number): Question[] {
  const range = wholeRange(baseMs)
  return [
    ...ids.flatMap((id): Question[] => [
      { id: `traces/v1/${id}`, path: `/api/traces/${encodeURIComponent(id)}` },
      { id: `traces/v2/${id}`, path: `/api/v2/traces/${encodeURIComponent(id)}` },
    ]),
    ...['1', 'c0ffee000000000000000000000000ff', 'xyz'].flatMap((id): Question[] =>
      ['v1', 'v2'].map(version => ({
        id: `traces/${version}/protobuf ${id}`,
        path: version === 'v1' ? `/api/traces/${id}` : `/api/v2/traces/${id}`,
        headers: { accept: 'application/protobuf' },
      })),
    ),
    ...(
      [
        ['within', range],
        ['end before start', { start: '200', end: '100' }],
        ['start text', { start: 'x', end: '100' }],
        ['end text', { start: '1', end: 'x' }],
        ['start only', { start: '1' }],
      ] as const
    ).flatMap(([name, params]): Question[] => [
      { id: `traces/v1/times ${name}`, path: '/api/traces/1', params },
      { id: `traces/v2/times ${name}`, path: '/api/v2/traces/1', params },
    ]),
    ...paths.map((path): Question => ({ id: `paths/${path}`, path })),
    ...posted.map((path): Question => ({ id: `posted/${path}`, path, method: 'POST', body: '' })),
  ]
}
