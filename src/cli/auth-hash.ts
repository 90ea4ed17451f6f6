/** `tercet auth hash`: the hash of a password. */
import { hashPassword } from '#auth/password-hash.ts'
import { BadDataError } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import { makeVerb } from './verb.ts'

export const authHash = makeVerb({
  name: 'auth hash',
  summary: 'Reads a password from the standard input, or asks for it, and prints the hash that a credentials file has.',
  flags: [],
  examples: ['tercet auth hash', 'tercet auth hash < password.txt'],
  notes: ['A password is never an argument: other processes of the machine could read it.'],
  async run() {
    const password = process.stdin.isTTY ? await askTwice() : await readAll()
    if (password === '') throw new BadDataError('the password is empty')
    process.stdout.write(`${await hashPassword(password, systemRandom.bytes(16))}\n`)
    return 0
  },
})

/** Without the line's end behind it. */
async function readAll(): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of process.stdin) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

async function askTwice(): Promise<string> {
  const first = await askHidden('Password: ')
  if ((await askHidden('Once more: ')) !== first) throw new BadDataError('the two passwords differ')
  return first
}

/** A line from the terminal, which shows nothing of it. */
function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(question)
  stdin.setRawMode(true)
  return new Promise((resolve, reject) => {
    let line = ''
    const end = (): void => {
      stdin.off('data', onData)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
    }
    const onData = (bytes: Buffer): void => {
      for (const character of bytes.toString('utf8')) {
        if (character === '\u0003') {
          end()
          reject(new BadDataError('no password was given'))
          return
        }
        if (character === '\r' || character === '\n' || character === '\u0004') {
          end()
          resolve(line)
          return
        }
        line = character === '\u007f' || character === '\b' ? line.slice(0, -1) : line + character
      }
    }
    stdin.on('data', onData)
    stdin.resume()
  })
}
