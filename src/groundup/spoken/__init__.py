"""Spoken-to-written text and back, in English and Chinese: a grammar that makes pairs, their splits and their score.

**The written form** of every kind is fixed. Nothing but these entities differs between the two sides of a pair: carrier
words stay as they were said, in lower case and without punctuation, as a recogniser gives them.

- `number`: digits without separators; `twelve thousand five hundred`, `一万两千五百` are `12500`.
- `digits` (codes, rooms, buses): as they are; `four zero seven one`, `四零七幺` are `4071`.
- `ordinal`: `twenty first` is `21st`, `第二十一` is `第21`.
- `decimal`: `three point one four`, `三点一四` are `3.14`.
- `percent`: `twelve point five percent`, `百分之十二点五` are `12.5%`.
- `money`: the sign in front, two decimals where there are cents; `three hundred and five dollars` is `$305`,
  `三元五角` is `¥3.50`. `¥` is the yuan.
- `date`: ISO 8601. `march fifth twenty twenty four`, `二〇二四年三月五号` are `2024-03-05`; without a year `03-05`,
  without a day `2024-03`, a year alone `2024` or `2024年`.
- `time`: 24 hours; `three thirty pm`, `下午三点半` are `15:30`, `eight oh five in the morning` is `08:05`. Where the
  half of the day was not said, hours 1 to 9 keep no leading zero (`half past three`, `三点半` are `3:30`), and 10, 11
  and 12 are those of the 24-hour clock.
- `datetime`: date, blank, time; `二〇二四年三月五号下午三点` is `2024-03-05 15:00`; so is "... at three pm".
- `phone`: `212-555-0142`, `555-0142`; `13800138000`, `010-62781234`, `400-820-8820`.
- `mixed` has two of these, `plain` none. The word "one" and 一 before what is counted stay words (`one of them`,
  `一个人`), as do approximate counts (`hundreds of people`, `十几个人`), idioms, names, weekdays and holidays.

**The canonical spoken form**, the one that `to_spoken` asks for. English: "and" after hundreds and before a last part
below a hundred; month before day; years in pairs, 2000 to 2009 as numbers; hours with am or pm where they are known;
"oh" for the zero of minutes and "zero" elsewhere. Chinese: 两 before 百, 千, 万 and 亿, but 二 before 百 and 千 in
ordinals; 〇 for the zeros of a year and 零 elsewhere; 幺 for the ones of codes and telephone numbers; 号 for the day;
元角分 for money; 半 for thirty minutes and 分 after all others.
"""
