/** A Chromium for the tests in a real browser. */
import { programKind } from './program.ts'

export const chromium = programKind('Chromium', [
  { program: 'chromium', debianPackage: 'chromium' },
  { program: 'chromium-browser' },
  { program: 'google-chrome' },
  { program: 'Google Chrome', folders: ['/Applications/Google Chrome.app/Contents/MacOS'] },
])
