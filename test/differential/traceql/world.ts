/** The traces that both servers are given: a shop, and every oddity that a query can meet. */
import { minute, second, type Any, type Attributes, type PartSpec, type SpanSpec, type TraceSpec } from './otlp.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const map = (entries: Readonly<Record<string, Any>>): ReadonlyMap<string, Any> => new Map(Object.entries(entries))

/** A service with its resource. */
function service(name: string, attributes: Attributes = {}): Attributes {
  return { 'service.name': name, ...attributes }
}

/** Four services, a request each ten minutes of the last two hours; times, errors and sizes go up and down. */
function shop(): TraceSpec[] {
  return Array.from({ length: 12 }, (_, n): TraceSpec => {
    const isBad = n % 4 === 1
    const kube = (pod: string): Attributes => ({
      'k8s.cluster.name': n % 2 === 0 ? 'east' : 'west',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': pod,
      'k8s.container.name': 'main',
      'host.name': `host-${n % 3}`,
      replicas: BigInt(n % 3),
      weight: n / 4,
      canary: n % 3 === 0,
    })
    const front: PartSpec = {
      resource: service('frontend', kube(`front-${n % 2}`)),
      scope: { name: 'http', version: '1.2.3', attributes: { library: 'net/http', level: 3n } },
      spans: [
        {
          id: `a${n.toString(16)}1`,
          name: n % 3 === 0 ? 'GET /cart' : 'POST /checkout',
          kind: 2,
          status: isBad ? 2 : n % 4 === 2 ? 1 : 0,
          ...(isBad ? { message: 'upstream failed' } : {}),
          durationNs: (n + 1) * 100e6 + 7,
          attributes: {
            'http.method': n % 3 === 0 ? 'GET' : 'POST',
            'http.status_code': isBad ? 500n : 200n,
            'http.url': `http://shop/${n % 3 === 0 ? 'cart' : 'checkout'}?n=${n}`,
            'http.route': n % 3 === 0 ? '/cart' : '/checkout',
            'http.request.method': n % 3 === 0 ? 'GET' : 'POST',
            'http.response.status_code': isBad ? 500n : 200n,
            'url.path': '/x',
            'server.port': 8080n,
            'user.id': BigInt(1000 + (n % 5)),
            ratio: n / 8,
            vip: n % 2 === 0,
          },
          events: isBad
            ? [
                {
                  name: 'exception',
                  afterNs: 5e6,
                  attributes: { 'exception.type': 'E', 'exception.message': 'no\nway' },
                },
              ]
            : [],
        },
        {
          id: `a${n.toString(16)}2`,
          parent: `a${n.toString(16)}1`,
          name: 'call payment',
          kind: 3,
          afterNs: 10e6,
          durationNs: (n + 1) * 50e6,
          attributes: { 'peer.service': 'payment', retries: BigInt(n % 3), 'server.address': 'payment.shop' },
        },
      ],
    }
    const payment: PartSpec = {
      resource: service('payment', kube(`pay-${n % 3}`)),
      scope: { name: 'grpc', version: '0.9' },
      spans: [
        {
          id: `a${n.toString(16)}3`,
          parent: `a${n.toString(16)}2`,
          name: 'Pay',
          kind: 2,
          status: isBad ? 2 : 0,
          ...(isBad ? { message: 'card refused' } : {}),
          afterNs: 12e6,
          durationNs: (n + 1) * 40e6,
          attributes: { amount: n * 10.5, currency: n % 2 === 0 ? 'EUR' : 'USD', 'user.id': BigInt(1000 + (n % 5)) },
        },
        {
          id: `a${n.toString(16)}4`,
          parent: `a${n.toString(16)}3`,
          name: 'SELECT',
          kind: 3,
          afterNs: 14e6,
          durationNs: (n + 1) * 10e6,
          attributes: {
            'db.system': 'postgresql',
            'db.statement': `select *\nfrom cards\nwhere id=${n}`,
            rows: BigInt(n),
          },
        },
        {
          id: `a${n.toString(16)}5`,
          parent: `a${n.toString(16)}3`,
          name: 'publish',
          kind: 4,
          afterNs: 16e6,
          durationNs: 1e6 * (n + 1),
          attributes: { 'messaging.system': 'kafka' },
          events: [
            { name: 'enqueued', afterNs: 1e5, attributes: { partition: BigInt(n % 4), acks: 'all' } },
            { name: 'sent', afterNs: 2e5, attributes: { partition: BigInt((n + 1) % 4), size: n * 1.5 } },
          ],
        },
      ],
    }
    const mail: PartSpec = {
      resource: service('mail', kube('mail-0')),
      spans: [
        {
          id: `a${n.toString(16)}6`,
          parent: `a${n.toString(16)}5`,
          name: 'consume',
          kind: 5,
          afterNs: 30e6,
          durationNs: 3e6,
          attributes: { 'messaging.system': 'kafka', template: n % 2 === 0 ? 'thanks' : 'sorry' },
          links: [
            { trace: `5b0${n.toString(16)}`, span: `a${n.toString(16)}5`, attributes: { why: 'queue', hop: 1n } },
          ],
        },
      ],
    }
    return {
      id: `5b0000000000000000000000000000${n.toString(16).padStart(2, '0')}`,
      agoNs: (120 - 10 * n) * minute,
      parts: n % 2 === 0 ? [front, payment, mail] : [front, payment],
    }
  })
}

/** Values of each type, under the names `<prefix>…`. */
function typed(prefix: string): Attributes {
  return {
    [`${prefix}text`]: 'hello',
    [`${prefix}empty`]: '',
    [`${prefix}int`]: 5n,
    [`${prefix}negative`]: -5n,
    [`${prefix}zero`]: 0n,
    [`${prefix}float`]: 2.5,
    [`${prefix}whole`]: 5,
    [`${prefix}yes`]: true,
    [`${prefix}no`]: false,
    [`${prefix}bytes`]: bytes('one'),
    [`${prefix}none`]: null,
    [`${prefix}map`]: map({ a: 'x', b: 2n, c: map({ d: true }) }),
    [`${prefix}nomap`]: map({}),
    [`${prefix}texts`]: ['red', 'green', 'blue'],
    [`${prefix}ints`]: [1n, 2n, 3n],
    [`${prefix}floats`]: [0.5, 1.5],
    [`${prefix}bools`]: [true, false],
    [`${prefix}alone`]: ['single'],
    [`${prefix}nothing`]: [],
    [`${prefix}mixed`]: ['a', 1n, 2.5, true],
    [`${prefix}nested`]: [['a', 'b'], ['c']],
    [`${prefix}blobs`]: [bytes('x'), bytes('y')],
  }
}

/** Each type at each level. */
const typesTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000001',
  agoNs: 95 * minute,
  parts: [
    {
      resource: service('types', typed('r.')),
      scope: { name: 'scopes', version: 'v2', attributes: typed('i.') },
      spans: [
        {
          id: 'b1',
          name: 'typed',
          kind: 1,
          durationNs: 2e9,
          attributes: typed('s.'),
          events: [
            { name: 'plain', afterNs: 1000 },
            { name: 'typed', afterNs: 1_500_000, attributes: typed('e.') },
          ],
          links: [
            { trace: '1', span: '2' },
            { trace: 'c0ffee00000000000000000000000002', span: 'b1', attributes: typed('l.'), state: 'k=v' },
          ],
        },
        { id: 'b2', parent: 'b1', name: 'untyped', kind: 1, afterNs: 1000, durationNs: 1e9 },
      ],
    },
    {
      resource: service('types-2', { 'r.int': 'five', 'r.text': 5n }),
      scope: { name: 'scopes' },
      spans: [
        {
          id: 'b3',
          parent: 'b1',
          name: 'other types',
          kind: 1,
          afterNs: 5000,
          durationNs: 500e6,
          attributes: { 's.int': '5', 's.text': 7n, 's.float': true, 's.ints': 2n, 's.texts': 'green', 's.whole': 5n },
          events: [{ name: '', attributes: { 'e.int': '5', 'e.text': 'hello' } }],
        },
      ],
    },
  ],
}

/** One attribute, `v`, with another type in each span. */
const mixedTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000003',
  agoNs: 94 * minute,
  parts: [
    {
      resource: service('mixed', { v: 'of the resource', own: 'here' }),
      spans: (
        [
          ['int', 1n],
          ['float', 1],
          ['half', 1.5],
          ['text', '1'],
          ['word', 'one'],
          ['bool', true],
          ['ints', [1n, 2n]],
          ['texts', ['1', 'one']],
          ['bytes', bytes('1')],
          ['map', map({ one: 1n })],
        ] as const
      ).map(([name, v], i): SpanSpec => ({
        id: `d${i}`,
        ...(i === 0 ? {} : { parent: 'd0' }),
        name,
        afterNs: i * 1e6,
        durationNs: 1e9 - i * 1e6,
        attributes: { v },
      })),
    },
    { resource: service('mixed'), spans: [{ id: 'da', parent: 'd0', name: 'absent', afterNs: 11e6 }] },
    {
      resource: service('mixed', { v: 1n }),
      spans: [{ id: 'db', parent: 'd0', name: 'resource only', afterNs: 12e6 }],
    },
  ],
}

/** Whole numbers that no double is, and doubles at the ends of their range. */
const numbersTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000004',
  agoNs: 93 * minute,
  parts: [
    {
      resource: service('numbers', { 'r.big': 9_007_199_254_740_993n }),
      spans: (
        [
          1_234_567_890_123_456_788n,
          1_234_567_890_123_456_789n,
          9_007_199_254_740_992n,
          9_007_199_254_740_993n,
          9_223_372_036_854_775_807n,
          -9_223_372_036_854_775_808n,
          -9_007_199_254_740_993n,
          1e300,
          -1e-300,
          Infinity,
          -Infinity,
          NaN,
          0.1,
          123456789.12345679,
          1e21,
          1e-7,
        ] as const
      ).map((x, i): SpanSpec => ({
        id: `e${i.toString(16)}`,
        ...(i === 0 ? {} : { parent: 'e0' }),
        name: `n${i}`,
        afterNs: i * 1e6,
        durationNs: 1e9,
        attributes: { x },
      })),
    },
  ],
}

/** Names of attributes that need quotes, or look like something else. */
const oddNames = [
  'odd name',
  'with "quotes"',
  'back\\slash',
  'a=b',
  'c{d}',
  'dot.',
  '.lead',
  'two..dots',
  'ünï',
  '🙂',
  'new\nline',
  'tab\tin',
  '1st',
  'span.inner',
  'duration',
  'name',
  'status',
  'minus-sign',
  'plus+sign',
  'slash/es',
  'colon:ed',
  'a&b',
  'a|b',
  'a,b',
  '(paren)',
  "single'quote",
  '`tick`',
  '<angle>',
  '~tilde',
  'at@sign',
  '#hash',
  '$dollar',
  '%41percent',
  'parent',
  'nil',
  'true',
  'UPPER.Case',
] as const

const namesTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000005',
  agoNs: 92 * minute,
  parts: [
    {
      resource: service('names', Object.fromEntries(oddNames.map((name, i) => [name, `r${i}`]))),
      spans: [
        {
          id: 'f1',
          name: 'all',
          durationNs: 3e6,
          attributes: Object.fromEntries(oddNames.map((name, i) => [name, `s${i}`])),
        },
        { id: 'f2', parent: 'f1', name: 'none', durationNs: 2e6 },
      ],
    },
  ],
}

/** Texts that escapes and regular expressions stumble over. */
const texts: Readonly<Record<string, string>> = {
  line: 'a\nb',
  tab: 'a\tb',
  quote: 'say "hi"',
  backslash: 'c:\\dir',
  tick: 'a`b',
  unicode: 'Grüße, 世界',
  emoji: '🙂🚀',
  combined: 'é',
  spaces: '  padded  ',
  star: 'a*b',
  dot: 'a.b',
  number: '42',
  truth: 'true',
  nil: 'nil',
  null: 'null',
  long: 'x'.repeat(1500),
  control: 'a\u0001b',
  html: '<b>&amp;</b>',
  upper: 'MiXeD',
  separator: 'a\u2028b',
}
const textsTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000006',
  agoNs: 91 * minute,
  parts: [
    {
      resource: service('texts'),
      spans: Object.entries(texts).map(([name, text], i): SpanSpec => ({
        id: `1${i.toString(16).padStart(2, '0')}`,
        ...(i === 0 ? {} : { parent: '100' }),
        name: text,
        afterNs: i * 1e6,
        durationNs: 50e6,
        attributes: { text, which: name },
      })),
    },
  ],
}

/** Spans by name and parent: trees, chains, siblings, several roots and orphans. */
function tree(id: string, agoNs: number, name: string, spans: readonly (readonly [string, string?])[]): TraceSpec {
  const numbers = new Map(spans.map(([own], i) => [own, (0x200 + i).toString(16)]))
  return {
    id,
    agoNs,
    parts: [
      {
        resource: service(name),
        spans: spans.map(([own, parent], i): SpanSpec => ({
          id: numbers.get(own)!,
          ...(parent === undefined ? {} : { parent: numbers.get(parent) ?? parent }),
          name: own,
          afterNs: i * 1e6,
          durationNs: 100e6 - i * 2e6,
          attributes: { letter: own[0]!, depth: BigInt(own.length) },
        })),
      },
    ],
  }
}
const trees: TraceSpec[] = [
  tree('c0ffee00000000000000000000000010', 90 * minute, 'tree', [
    ['a'],
    ['b', 'a'],
    ['c', 'b'],
    ['d', 'c'],
    ['bb', 'a'],
    ['cc', 'bb'],
    ['ccc', 'bb'],
    ['dd', 'cc'],
    ['aa', 'dd'],
  ]),
  tree('c0ffee00000000000000000000000011', 89 * minute, 'chain', [
    ['a'],
    ['b', 'a'],
    ['aa', 'b'],
    ['bb', 'aa'],
    ['aaa', 'bb'],
    ['bbb', 'aaa'],
  ]),
  tree('c0ffee00000000000000000000000012', 88 * minute, 'forest', [
    ['a'],
    ['b', 'a'],
    ['aa'],
    ['bb', 'aa'],
    ['c', 'aa'],
  ]),
  tree('c0ffee00000000000000000000000013', 87 * minute, 'orphans', [
    ['a'],
    ['b', 'a'],
    ['aa', '999'],
    ['bb', 'aa'],
    ['c', '998'],
    ['cc', 'c'],
  ]),
  tree('c0ffee00000000000000000000000014', 86 * minute, 'rootless', [
    ['a', '997'],
    ['b', 'a'],
    ['c', 'a'],
  ]),
]

/** Every status and kind, also such as no specification has. */
const enumsTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000020',
  agoNs: 85 * minute,
  parts: [
    {
      resource: service('enums'),
      spans: [0, 1, 2, 3, 4, 5].flatMap(kind =>
        [0, 1, 2].map((status): SpanSpec => ({
          id: `3${kind}${status}`,
          ...(kind === 0 && status === 0 ? {} : { parent: '300' }),
          name: `${kind}-${status}`,
          kind,
          status,
          ...(status === 2 ? { message: `bad ${kind}` } : {}),
          afterNs: kind * 1e6,
          durationNs: 20e6,
        })),
      ),
    },
  ],
}

const durationsTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000021',
  agoNs: 84 * minute,
  parts: [
    {
      resource: service('durations'),
      spans: [
        0,
        1,
        2,
        3,
        999,
        1000,
        1001,
        1_500_000,
        1_000_000,
        999_999_999,
        1e9,
        1e9 + 1,
        1.5e9,
        61e9,
        600e9,
        3600e9,
        3e9,
      ].map((durationNs, i): SpanSpec => ({
        id: `4${i.toString(16).padStart(2, '0')}`,
        ...(i === 15 ? {} : { parent: '40f' }),
        name: `${durationNs}ns`,
        afterNs: i,
        durationNs,
        attributes: { ns: BigInt(durationNs) },
      })),
    },
  ],
}

/** Ids with zeros before them, that look like numbers, and the largest. */
const idTraces: TraceSpec[] = [
  ['1', '1'],
  ['b6c953a50a99237526851ce62e902d', 'ab09c56de0'],
  ['463ac35c9f6413ad48485a3953bb6124', '10'],
  ['00000000000000005af7183fb1d4cf5f', 'ffffffffffffffff'],
  ['ffffffffffffffffffffffffffffffff', '1234567890'],
].map(([id, span], i): TraceSpec => ({
  id: id!,
  agoNs: (83 * 60 - i) * second,
  parts: [
    {
      resource: service('ids'),
      spans: [
        {
          id: span!,
          name: `id${i}`,
          durationNs: 8e6,
          state: 'vendor=1',
          links: [{ trace: '00c6c953a50a99237526851ce62e902d', span: 'cd09c56de0', attributes: { n: BigInt(i) } }],
        },
        { id: `${span!.slice(0, 15)}e`, parent: span!, name: 'below', durationNs: 4e6 },
      ],
    },
  ],
}))

/** Resources without a name, with an odd one, and with several scopes. */
const resourcesTraces: TraceSpec[] = [
  { 'host.name': 'nameless' },
  { 'service.name': '' },
  { 'service.name': 42n },
  { 'service.name': ['a', 'b'] },
  {},
  { 'service.name': 'Ünïcode 服务' },
  { 'service.name': 'with "quotes"' },
].map((resource, i): TraceSpec => ({
  id: `c0ffee000000000000000000000000${(0x30 + i).toString(16)}`,
  agoNs: (82 * 60 - i) * second,
  parts: [
    {
      resource,
      scope: { name: '', version: '' },
      spans: [
        { id: `5${i}`, name: i === 4 ? '' : `resource ${i}`, durationNs: 7e6, attributes: { group: 'resources' } },
      ],
    },
    {
      resource,
      scope: { name: 'second', version: '1.0.0-rc.1', attributes: { k: 'v' } },
      spans: [{ id: `5${i}f`, parent: `5${i}`, name: 'second', durationNs: 6e6, attributes: { group: 'resources' } }],
    },
  ],
}))

/** Attributes that have columns of their own, in types that those can't hold. */
const dedicatedTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000040',
  agoNs: 81 * minute,
  parts: [
    {
      resource: service('dedicated', {
        'k8s.pod.name': ['p1', 'p2'],
        'k8s.namespace.name': 7n,
        'k8s.cluster.name': '',
      }),
      spans: [
        { id: '61', name: 'usual', attributes: { 'http.status_code': 404n, 'http.method': 'PUT', 'http.url': 'u' } },
        {
          id: '62',
          parent: '61',
          name: 'other types',
          attributes: { 'http.status_code': '404', 'http.method': 4n, 'http.url': true, 'server.port': 1.5 },
        },
        {
          id: '63',
          parent: '61',
          name: 'arrays',
          attributes: { 'http.status_code': [404n, 500n], 'http.method': ['PUT', 'GET'], 'http.url': [] },
        },
        { id: '64', parent: '61', name: 'empty', attributes: { 'http.method': '', 'http.url': '', 'http.route': ' ' } },
        { id: '65', parent: '61', name: 'none' },
      ],
    },
  ],
}

/** Several events and links of one span. */
const eventsTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000050',
  agoNs: 80 * minute,
  parts: [
    {
      resource: service('events'),
      scope: { name: 'lib', version: '1', attributes: { k: 'scope' } },
      spans: [
        {
          id: '71',
          name: 'several',
          durationNs: 1e9,
          attributes: { k: 'span' },
          events: [
            { name: 'one', afterNs: 0, attributes: { k: 'v1', z: 1n } },
            { name: 'two', afterNs: 5e6, attributes: { k: 'v2', z: 2n } },
            { name: 'two', afterNs: 2e9, attributes: { k: 'v3', z: 2n, deep: ['x', 'y'] } },
          ],
          links: [
            { trace: 'aa', span: 'a', attributes: { k: 'l1', z: 1n } },
            { trace: 'bb', span: 'b', attributes: { k: 'l2', z: 2n } },
          ],
        },
        {
          id: '72',
          parent: '71',
          name: 'one',
          durationNs: 9e8,
          events: [{ name: 'one', afterNs: 7, attributes: { k: 'v2' } }],
        },
        {
          id: '73',
          parent: '71',
          name: 'bare',
          durationNs: 8e8,
          events: [{ name: 'bare' }],
          links: [{ trace: 'cc', span: 'c' }],
        },
        { id: '74', parent: '71', name: 'none', durationNs: 7e8 },
      ],
    },
  ],
}

/** A span each second but for a gap, and some exactly where steps touch; the same values each time. */
const rhythm: TraceSpec[] = Array.from({ length: 40 }, (_, n): TraceSpec => ({
  id: `d1ce00000000000000000000000000${n.toString(16).padStart(2, '0')}`,
  agoNs: (n < 20 ? 1800 - n * 15 : 1200 - n * 7.5) * second + (n % 4 === 0 ? 0 : 1_234_567),
  parts: [
    {
      resource: service(n % 2 === 0 ? 'rhythm-a' : 'rhythm-b', { zone: `z${n % 3}`, shard: BigInt(n % 2) }),
      spans: [
        {
          id: `8${n.toString(16).padStart(2, '0')}`,
          name: n % 5 === 0 ? 'slow' : 'fast',
          kind: (n % 3) + 1,
          status: n % 7 === 0 ? 2 : 0,
          durationNs: n % 5 === 0 ? (n + 1) * 1e9 : (n + 1) * 1e6,
          attributes: {
            size: BigInt(n * 100),
            ratio: n / 10 - 1,
            label: `l${n % 4}`,
            flag: n % 2 === 0,
            ...(n % 3 === 0 ? { rare: BigInt(n) } : {}),
            ...(n % 6 === 0 ? { list: [BigInt(n), BigInt(n + 1)] } : {}),
            odd: n % 2 === 0 ? BigInt(n) : `n${n}`,
          },
        },
      ],
    },
  ],
}))

/** A trace of many spans, of many services. */
const wideTrace: TraceSpec = {
  id: 'c0ffee00000000000000000000000060',
  agoNs: 79 * minute,
  parts: Array.from({ length: 15 }, (_, p): PartSpec => ({
    resource: service(`wide-${p}`, { rank: BigInt(p) }),
    spans: Array.from({ length: 8 }, (__, n): SpanSpec => ({
      id: `9${p.toString(16)}${n}`,
      ...(p === 0 && n === 0 ? {} : { parent: n === 0 ? `9${(p - 1).toString(16)}0` : `9${p.toString(16)}0` }),
      name: `w${n}`,
      afterNs: (p * 8 + n) * 1e5,
      durationNs: (n + 1) * 10e6,
      attributes: { n: BigInt(n), p: BigInt(p), half: n / 2, side: n % 2 === 0 ? 'even' : 'odd' },
    })),
  })),
}

export const world: readonly TraceSpec[] = [
  ...shop(),
  typesTrace,
  mixedTrace,
  numbersTrace,
  namesTrace,
  textsTrace,
  ...trees,
  enumsTrace,
  durationsTrace,
  ...idTraces,
  ...resourcesTraces,
  dedicatedTrace,
  eventsTrace,
  ...rhythm,
  wideTrace,
]

export const spanCount = world.reduce(
  (sum, trace) => sum + trace.parts.reduce((n, part) => n + part.spans.length, 0),
  0,
)
