/** systemd's Journal Export Format, as systemd-journal-upload sends it. Source: the public format description. */
const fieldBytesMax = 16 * 1024 * 1024

/**
 * Every entry's fields, in order. Where the rest of the body can't be read, `problem` says why: the entries before it
 * are whole.
 */
export function parseJournal(bytes: Uint8Array): { entries: Map<string, string>[]; problem: string | undefined } {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const entries: Map<string, string>[] = []
  let fields = new Map<string, string>()
  let at = 0
  while (at < text.length) {
    let end = text.indexOf(10, at)
    if (end < 0) end = text.length
    if (end === at) {
      if (fields.size > 0) entries.push(fields)
      fields = new Map()
      at++
      continue
    }
    const line = text.subarray(at, end)
    const equals = line.indexOf(61)
    if (equals >= 0) {
      fields.set(line.subarray(0, equals).toString('utf8'), line.subarray(equals + 1).toString('utf8'))
      at = end + 1
      continue
    }
    // A name alone: its value follows with its length in front.
    at = end + 1
    if (at + 8 > text.length) return { entries, problem: 'journal: the length of a field is cut off' }
    const length = text.readUInt32LE(at) + text.readUInt32LE(at + 4) * 4294967296
    at += 8
    if (length > fieldBytesMax || at + length > text.length)
      return { entries, problem: `journal: a field of ${length} bytes is cut off` }
    fields.set(line.toString('utf8'), text.subarray(at, at + length).toString('utf8'))
    at += length + 1
  }
  if (fields.size > 0) entries.push(fields)
  return { entries, problem: undefined }
}
