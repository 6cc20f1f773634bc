/**
 * The server's answers, read from a stream of bytes that may be cut anywhere: in the middle of a line, of a value, or
 * between a carriage return and its line feed.
 */

/** One answer of the meta protocol, or one line of an older command. */
export interface Answer {
  /** `HD`, `VA`, `EN`, `NF`, `NS`, `EX`, `MN`, `STAT`, `END`, `OK`, or one of the three kinds of error. */
  readonly status: string
  /** What follows on the line. */
  readonly words: readonly string[]
  /** The value of a `VA`. Memory of its own. */
  readonly value?: Uint8Array
}

/** What came is not the protocol. Nothing that comes after it on this connection can be trusted. */
export class Unintelligible extends Error {}

/** No line of an answer is longer: a key has at most 250 bytes, and lines of statistics are short. */
const longestLine = 4_096
/** The largest item that any server can be configured for. */
const largestValue = 2 ** 30

const lineFeed = 10
const carriageReturn = 13

export class Answers {
  #chunks: Buffer[] = []
  #length = 0
  /** How many bytes there must be before it is worth looking again. */
  #wanted = 1

  /**
   * Takes what has arrived and gives the answers that are complete by now.
   *
   * @throws {Unintelligible}
   */
  push(chunk: Buffer): readonly Answer[] {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#wanted) return []
    const data = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length)
    const answers: Answer[] = []
    let start = 0
    while (start < data.length) {
      const found = answerAt(data, start)
      if (typeof found === 'number') {
        this.#wanted = found
        break
      }
      answers.push(found.answer)
      start = found.end
    }
    this.#keep(data.subarray(start))
    return answers
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#length = rest.length
    if (rest.length === 0) this.#wanted = 1
  }
}

/** The answer that begins at `start`, and where it ends; or how many bytes from there on are needed to tell. */
function answerAt(data: Buffer, start: number): { readonly answer: Answer; readonly end: number } | number {
  const feed = data.indexOf(lineFeed, start)
  const length = (feed < 0 ? data.length : feed) - start
  if (length > longestLine) throw new Unintelligible('a line without end')
  if (feed < 0) return length + 1
  if (length < 2 || data[feed - 1] !== carriageReturn) throw new Unintelligible('a line feed by itself')
  const [status = '', ...words] = data.toString('latin1', start, feed - 1).split(' ')
  if (status !== 'VA') return { answer: { status, words }, end: feed + 1 }
  const size = sizeOf(words[0])
  const end = feed + 1 + size + 2
  if (data.length < end) return end - start
  if (data[end - 2] !== carriageReturn || data[end - 1] !== lineFeed) {
    throw new Unintelligible('a value of another length than announced')
  }
  return { answer: { status, words, value: new Uint8Array(data.subarray(feed + 1, end - 2)) }, end }
}

function sizeOf(word: string | undefined): number {
  const size = word !== undefined && /^\d{1,10}$/.test(word) ? Number(word) : Number.NaN
  if (!(size <= largestValue)) throw new Unintelligible('a value of no length')
  return size
}

/** The flag of an answer that begins with `letter`, without it. */
export function flag(answer: Answer, letter: string): string | undefined {
  return answer.words.find((word) => word.startsWith(letter))?.slice(letter.length)
}
