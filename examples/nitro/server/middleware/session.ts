import { h3Session } from 'holdfast/h3'
import { sessions } from '../sessions.ts'

export default h3Session(sessions)
