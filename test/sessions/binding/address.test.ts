import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addressOf, networkOf } from '../../../packages/holdfast/src/sessions/binding/address.ts'
import { agentFamily } from '../../../packages/holdfast/src/sessions/binding/agent.ts'

describe('an address', () => {
  it('is the same one however it is written', () => {
    const same: readonly (readonly string[])[] = [
      [
        '192.0.2.7',
        '::ffff:192.0.2.7',
        '::FFFF:192.0.2.7',
        '::ffff:c000:207',
        '0:0:0:0:0:ffff:c000:0207',
        '192.0.2.7%eth0',
        '0:0:0:0:0:ffff:192.0.2.7',
        '192.0.2.7:4711',
        '[::ffff:192.0.2.7]:443',
      ],
      ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:0db8::0001', '2001:db8:0:0::1', '2001:db8::1%eth0'],
      ['2001:db8::1', '[2001:db8::1]:443', '[2001:DB8::1]', '[2001:db8::1%eth0]:443'],
      ['64:ff9b::192.0.2.7', '64:ff9b::c000:207'],
      ['::1', '0:0:0:0:0:0:0:1', '0::1', '::0:1'],
      ['fe80::1%eth0', 'fe80::1', 'fe80:0::1%3'],
      ['::', '0:0:0:0:0:0:0:0'],
      ['1::', '1:0:0:0:0:0:0:0'],
    ]
    for (const forms of same) {
      assert.equal(new Set(forms.map(addressOf)).size, 1, forms.join(' '))
      assert.equal(new Set(forms.map(networkOf)).size, 1, forms.join(' '))
    }
    const different = [
      '192.0.2.7',
      '192.0.2.8',
      '2001:db8::1',
      '2001:db8::2',
      '::1',
      '::',
      '::192.0.2.7',
      '1::',
      '::2',
    ]
    assert.equal(new Set(different.map(addressOf)).size, different.length)
  })

  it('is in a network of 24 bits of IPv4, and of 56 of IPv6', () => {
    assert.equal(networkOf('192.0.2.7'), '192.0.2.0/24')
    assert.equal(networkOf('::ffff:192.0.2.200'), '192.0.2.0/24')
    assert.notEqual(networkOf('192.0.3.7'), networkOf('192.0.2.7'))
    assert.equal(networkOf('2001:db8:1:2a3f:4::5'), '2001:db8:1:2a00::/56')
    assert.equal(networkOf('2001:db8:1:2aff::'), networkOf('2001:db8:1:2a00:ffff:ffff:ffff:ffff'))
    assert.notEqual(networkOf('2001:db8:1:2b00::'), networkOf('2001:db8:1:2a00::'))
    assert.notEqual(networkOf('2001:db8:2:2a00::'), networkOf('2001:db8:1:2a00::'))
  })

  it('that is none is itself, and shares nothing with others', () => {
    const none = [
      '',
      'unknown',
      '1.2.3',
      '1.2.3.4.5',
      ':',
      ':::',
      '1::2::3',
      '12345::',
      'g::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      'a:b',
      '::ffff:192.0.2.256',
      '192.0.2.7:',
      '1.2.3:80',
      '[unknown]:443',
      '[2001:db8::1]443',
      '2001:db8::192.0.2.7:443',
    ]
    for (const text of none) assert.deepEqual([addressOf(text), networkOf(text)], [text, text])
  })
})

describe('the family of a user agent', () => {
  const agents: Readonly<Record<string, readonly string[]>> = {
    'Firefox on Linux': [
      'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0',
      'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
    ],
    'Chrome on Windows': [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    ],
    'Edge on Windows': [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0',
    ],
    'Safari on macOS': [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
    ],
    'Safari on iPhone': [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
    ],
    'Chrome on iPhone': [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1',
    ],
    'Chrome on Android': [
      'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36',
    ],
    curl: ['curl/8.5.0', 'curl/8.17.0'],
    unknown: ['', '123'],
  }

  it('is browser and system, without their versions', () => {
    for (const [family, forms] of Object.entries(agents)) {
      for (const form of forms) assert.equal(agentFamily(form), family)
    }
  })
})
