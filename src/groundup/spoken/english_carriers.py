"""English sentences to put values into, and the words that vary in them. Everything is as a recogniser would give it.

The first character tells what a sentence is: `.` states, `!` asks for something, `?` asks; `=` is a value
alone, without anything before or after. Names in braces are slots of values (`slots.py`) or of the words below.
"""

from __future__ import annotations

from typing import Final

from groundup.spoken.form import split_list

WORDS: Final = {
    "person": split_list(
        """
anna, tom, maria, james, sarah, kevin, julia, omar, emma, lucy, peter, nina, oliver, priya, ahmed,
my sister, my brother, my neighbour, my cousin, doctor lee, mister green, miss clark, uncle bob, grandma,
the landlord, the plumber, the manager, our teacher, the new colleague, the team leader
"""
    ),
    "city": split_list(
        """
london, paris, boston, leeds, berlin, chicago, dublin, beijing, shanghai, toronto, madrid, rome, sydney,
oslo, new york, glasgow, seattle, lisbon, cape town, delhi, munich, san francisco
"""
    ),
    "place": split_list(
        """
the library, the station, the office, the hotel, the gym, the front desk, the hospital, the bakery,
the garage, the town hall, the museum, the post office, the pharmacy, the school, the airport, the cafe,
the bookshop, the swimming pool
"""
    ),
    "thing": split_list(
        """
the laptop, the blue jacket, the cake, the camera, the new sofa, the printer, the guitar, the tent,
the bike, the umbrella, the red suitcase, the parcel, the washing machine, the phone, the wooden table,
the spare key, the winter coat, the coffee machine, the old piano, the garden chair
"""
    ),
    "paper": split_list(
        """
the report, the contract, the invoice, the menu, the form, the flyer, the letter, the budget,
the presentation, the meeting notes, the price list, the floor plan, the annual review
"""
    ),
    "weekday": split_list(
        """
monday, tuesday, wednesday, thursday, friday, saturday, sunday
"""
    ),
}

BEFORE: Final = {
    ".": split_list(
        """
i think, i heard that, as far as i know, by the way, just so you know, please note that, it turns out that,
we were told that, {person} says that, according to {person}, sorry but, okay so, don't forget that,
if i remember correctly, the notice says that, it's true that
"""
    ),
    "!": split_list(
        """
please, could you please, hey, if you have time, sorry to bother you but please, {person} wants you to,
don't forget to, you need to
"""
    ),
    "?": split_list(
        """
excuse me, hello, sorry, just a quick question, by the way, tell me
"""
    ),
}

AFTER: Final = {
    ".": split_list(
        """
i believe, if you ask me, i'm afraid, if i'm not mistaken, you know, as i said before, so {person} says,
which is fine with me, but don't tell {person}, so please let {person} know
"""
    ),
    "!": split_list(
        """
thanks, thank you very much, if that is okay, if you can, before you leave, and let {person} know
"""
    ),
    "?": (),
}

CARRIERS: Final = tuple(
    """
= {number}
. there are {count} people on the waiting list
. we sold {many} tickets for the concert in {city}
. the museum in {city} had {huge} visitors last year
. the city has about {huge} inhabitants
. our team answered {count} questions today
. the book has {count} pages and no pictures
. {person} ran {few} kilometers before breakfast
. the box weighs {count} kilograms
. the factory makes {many} bottles a day
. the video got {huge} views in one week
. the bridge is {count} meters long
. it took us {few} hours to get to {city}
. {person} has lived here for {few} years
. the library owns {many} books
. the stadium in {city} holds {many} fans
! order {few} more chairs for {place}
! print {count} copies of {paper}
! add {few} eggs to the shopping list
! bring {few} boxes to {place}
? did you really read {count} pages in one night
? is it true that {many} students applied
? are there still {count} seats left
. the code for {place} is {code}
. your verification code is {code}
. {person} is staying in room {room}
. we are on flight {room} to {city}
. my order number is {code}
. the wifi password for {place} is {code}
. the customer number of {person} is {code}
. the number of my locker is {code}
! enter {code} and press the green button
! meet me in room {room}
! take bus {bus} to {place}
! change the alarm code to {code}
! type {code} on the keypad
? can you look up order {code}
? is room {room} free
? does bus {bus} stop at {place}
= {nth}
. {person} finished in {nth} place
. our office is on the {low_nth} floor
. this is the {low_nth} time i've called about {thing}
. today is the {nth} day of the strike
. {person} is the {nth} person in the queue
. it's their {low_nth} wedding anniversary
. the {nth} customer gets a free coffee
. the team from {city} is now {low_nth} in the league
. {thing} is the {nth} item on the list
. we live in the {small_nth} house on the left
! turn to the {nth} page
! take the {small_nth} exit at the roundabout
! read the {nth} chapter
? who was the {low_nth} president
? what happened in the {small_nth} century
? is this the {low_nth} edition
= {decimal}
. the average grade is {low_decimal}
. the package weighs {decimal} kilograms
. the river is {low_decimal} meters deep
. {person} ran the race in {decimal} seconds
. the earthquake had a magnitude of {low_decimal}
. the app has a rating of {low_decimal}
. the file is {decimal} megabytes
. {city} is {decimal} miles from here
. we walked {decimal} kilometers on {weekday}
! multiply the result by {decimal}
! pour in {low_decimal} liters of water
! set the dose to {decimal} milligrams
? is the value really {decimal}
? did it rain {low_decimal} centimeters on {weekday}
= {percent}
. sales rose by {percent}
. about {percent} of the students passed
. the battery is at {percent}
. the discount on {thing} is {percent}
. only {percent} of us voted
. interest rates are at {percent}
. unemployment in {city} is {percent}
. the tax on {thing} is {percent}
. the water is now {percent} cleaner
! set the volume to {percent}
! leave a tip of {percent}
! lower the brightness to {percent}
? did prices really fall by {percent}
? is {percent} a good result
= {money}
. the coffee costs {price}
. a ticket to {city} is {price}
. {person} owes me {amount}
. the repair came to {amount}
. the rent went up by {amount}
. they raised {fortune} for the hospital
. the house was sold for {fortune}
. i got a refund of {price}
. {thing} was reduced to {price}
. delivery costs {price} extra
. the company lost {fortune} last year
. my budget for {thing} is {amount}
! transfer {amount} to {person}
! pay {price} at the counter
! offer {amount} for {thing}
? could you lend me {amount}
? is {price} too much for {thing}
? did you really spend {amount} on {thing}
= {date}
= {day}
. my birthday is on {day}
. the exhibition in {city} opens on {day}
. {person} was born on {date}
. the contract was signed on {date}
. the school holidays start on {day}
. the bridge was built in {any_year}
. we moved to {city} in {year}
. the company was founded in {month}
. the warranty ends in {month}
. prices went up in {year}
. the licence is valid until {date}
. the last update was on {date}
. we haven't met since {day}
. elections will be held on {date}
. the shop is closed on {day}
. the photo was taken in {month}
! book a table for {day}
! send {paper} by {date}
! cancel my appointment on {day}
? are you free on {day}
? is {paper} due on {day}
? what happened on {date}
? where did {person} live in {year}
= {clear_time}
. the train to {city} leaves at {any_time}
. the meeting with {person} starts at {time}
. the shop closes at {time}
. i'll be home by {time}
. the plane from {city} lands at {any_time}
. on {weekday} we open at {time}
. the doctor can see you at {time}
. nobody answered the phone after {time}
. the bus was late and came at {time}
. we have to check out before {time}
. the film on {weekday} starts at {time}
. it was already {any_time} when {person} arrived
! call me back at {time}
! wake me up at {time}
! set an alarm for {any_time}
! pick up {person} at {time}
! be at {place} before {time}
? can we meet at {time} instead
? were you still awake at {any_time}
? does {place} open at {time}
= {moment}
. the appointment is on {moment}
. the flight to {city} departs on {moment}
. the backup ran on {moment}
. the webinar starts on {moment}
. {thing} was delivered on {moment}
. the sale begins on {moment}
. {person} called on {moment}
! remind me of {paper} on {moment}
! schedule a call with {person} on {moment}
! come to {place} on {moment}
? can you come on {moment}
? is the inspection on {moment}
= {phone}
. my number is {phone}
. you can reach {person} at {phone}
. the number of {place} is {phone}
. the hotline is {phone}
. our new office number is {phone}
. {person} can be reached on {phone}
! call {phone} and ask for {person}
! text me at {phone}
! save {phone} as the number of {person}
! fax {paper} to {phone}
? is {phone} still your number
? who called from {phone}
. {thing} costs {price} until {day}
. the train leaves at {any_time} and arrives at {any_time}
. on {date} {person} paid {amount}
. the {low_nth} lesson starts at {time}
. room {room} is booked for {few} people
. we invited {count} guests for {day}
. the price rose by {percent} to {price}
. flight {room} leaves at {any_time}
. the team from {city} won in {year} but not in {year}
. on {weekday} we open at {time} but on {weekday} at {time}
. the meeting on {day} is in room {room}
. {percent} agreed but {count} members were against it
. invoice {code} over {amount} is still open
. {person} came {low_nth} with a time of {decimal} seconds
. the rent is {amount} with a deposit of {amount}
. our {low_nth} branch opened in {year}
. the population grew from {many} to {many}
. tickets are {price} at the door but only {price} online
. a loan at {percent} was signed on {date}
. the recipe needs {low_decimal} liters of milk plus {few} eggs
. they spent {fortune} on the station in {year}
. {count} parcels weigh {decimal} kilograms
! transfer {amount} to {person} by {day}
! book {few} seats for {day}
! call {phone} before {time}
! dial {phone} then enter {code}
! meet {person} at {time} in room {room}
? can i get {few} tickets for {price}
? is order {code} arriving on {day}
? did {thing} cost {amount} in {year}
. one of them left {thing} in {city}
. {person} bought a second hand bike in {city}
. i'll be back in a second
. no one told {person} about {thing}
. first of all we need to talk about {paper}
. at first {person} didn't like {city}
. on second thought i'd rather stay at home
. one day we will move to {city}
. they looked at one another and laughed
. hundreds of people came to {place}
. thousands of fans were waiting in {city}
. {person} has a couple of questions about {paper}
. dozens of letters arrived for {person}
. that's the one i wanted
. it was one of the best days in {city}
. you may keep {thing} if you like
. they march through {city} every spring
. {person} won and we did too
. {person} ate before we got to {place}
. i'd like to go for a walk with {person}
. once or twice {person} forgot {thing}
. {person} was on cloud nine after the concert
. we're back to square one with {paper}
. one way or another we'll find {thing}
. {person} took one look at {thing} and left
. half of the class was ill on {weekday}
. {person} works part time at {place}
. for once {person} was on time
. {thing} is second to none
. all at once the lights went out in {place}
. one after another the guests left {place}
. at the eleventh hour {person} changed the plan
. {person} is one in a million
. {person} will be at {place} on {weekday}
. we talked about {paper} for hours
. {person} lives halfway between here and {city}
. the point is that {person} needs {thing}
. i saw {person} the other day in {city}
. {person} signed {paper} on {weekday}
. the weather in {city} is lovely today
! give me a second to find {thing}
! bring {thing} to {place} on {weekday}
! ask {person} about {paper}
! try the other one first
! have a seat and wait for {person}
! take {thing} to {place}
? did anyone see {thing}
? which one belongs to {person}
? have you ever been to {city}
? is this the one from {city}
? did {person} read {paper}
? could i have another cup of tea
""".strip().splitlines()
)
