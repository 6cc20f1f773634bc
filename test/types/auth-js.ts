/** What Auth.js calls an adapter goes in and comes out. Checked by `tsc`, never run. */

import type { Adapter, AdapterUser } from '@auth/core/adapters'
import { expectTypeOf } from 'expect-type'
import type { Store } from 'holdfast'
import { authJsAdapter } from 'holdfast/auth-js'

declare const store: Store
declare const users: Adapter

const adapter = authJsAdapter(store, users)
expectTypeOf(adapter).toExtend<Adapter>()
const found = await adapter.getSessionAndUser('token')
expectTypeOf(found!.user).toEqualTypeOf<AdapterUser>()
