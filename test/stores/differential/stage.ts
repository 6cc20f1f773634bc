/** All stores side by side, and histories that are played to all of them. */

import { isDeepStrictEqual } from 'node:util'
import { StandingClock } from '../../../packages/holdfast/src/testing/model/clock.ts'
import { openRoom, type Place, type Room } from '../places.ts'
import { type Answer, Player } from './player.ts'
import { described, margin, maxValue, type Step } from './step.ts'

/** Stores that do not answer alike. */
export class Disagreement extends Error {
  /** The shortest history that shows it: its last step is answered differently. */
  readonly steps: readonly Step[]

  constructor(steps: readonly Step[], answers: readonly (readonly [name: string, answer: Answer])[]) {
    const lines = steps.map((step, i) => `${String(i + 1).padStart(3)}. ${described(step)}`)
    const given = answers.map(([name, answer]) => `${name}: ${JSON.stringify(answer?.answer)}`)
    super(['The last step is not answered alike.', ...lines, ...given].join('\n'))
    this.name = 'Disagreement'
    this.steps = steps
  }
}

export class Stage {
  readonly players: readonly Player[]
  readonly #clock: StandingClock
  readonly #rooms: readonly Room[]
  #runs = 0

  constructor(clock: StandingClock, players: readonly Player[], rooms: readonly Room[] = []) {
    this.#clock = clock
    this.players = players
    this.#rooms = rooms
  }

  /** Opens a store of each kind that is there. */
  static async open(places: readonly Place[]): Promise<Stage> {
    const clock = new StandingClock(Date.now())
    const players: Player[] = []
    const rooms: Room[] = []
    for (const place of places.filter(({ skip }) => skip === false)) {
      const room = await place.room()
      rooms.push(room)
      players.push(new Player(place.name, await openRoom(room, { clock, margin, maxValue })))
    }
    return new Stage(clock, players, rooms)
  }

  async close(): Promise<void> {
    for (const { store } of this.players) await store.close()
    for (const room of this.#rooms) await room.remove()
  }

  /** Plays a history to every store, and answers as they do. @throws {Disagreement} where they don't answer alike. */
  async play(steps: readonly Step[], players = this.players): Promise<readonly Answer[]> {
    const all: Answer[] = []
    const run = this.#runs++
    this.#clock.set(Date.now())
    for (const player of players) player.begin(run)
    try {
      for (const [i, step] of steps.entries()) {
        if (step.do === 'move') this.#clock.set(this.#clock.now() + step.ms)
        const answers = await Promise.all(players.map((player) => player.take(step)))
        const named = players.map(({ name }, which) => [name, answers[which]] as const)
        if (!areAlike(answers)) throw new Disagreement(steps.slice(0, i + 1), named)
        all.push(wholeOf(answers))
      }
      return all
    } finally {
      await Promise.all(players.map((player) => player.end()))
    }
  }
}

/** The first answers for all that can answer; a partial listing may lack some. */
function areAlike(answers: readonly Answer[]): boolean {
  const given = answers.filter((each) => each !== undefined)
  const whole = wholeOf(answers)
  return given.every(({ answer, partial = false }) => {
    const expected = partial ? presentIn(whole?.answer, answer) : whole?.answer
    return isDeepStrictEqual(answer, expected)
  })
}

/** The answer of the first store that is whole. */
function wholeOf(answers: readonly Answer[]): Answer {
  const given = answers.filter((each) => each !== undefined)
  return given.find(({ partial = false }) => !partial) ?? given[0]
}

function presentIn(all: unknown, found: unknown): unknown {
  if (!Array.isArray(all) || !Array.isArray(found)) return all
  return all.filter((each) => found.some((one) => isDeepStrictEqual(one, each)))
}
