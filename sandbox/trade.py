"""Who buys from the sample companies, what, and how they pay: plain data for `company`."""

from __future__ import annotations

from dataclasses import dataclass

# (name, price in minor units, taxable in the United States)
GOODS = (
    ("Strong white flour, 25 kg", 2450, False),
    ("Wholemeal flour, 25 kg", 2680, False),
    ("Rye flour, 15 kg", 2140, False),
    ("Unsalted butter, 10 kg", 8950, False),
    ("Free range eggs, tray of 30", 1180, False),
    ("Fresh yeast, 1 kg", 640, False),
    ("Caster sugar, 15 kg", 1890, False),
    ("Dark chocolate drops, 5 kg", 5875, False),
    ("Vanilla paste, 500 g", 4125, False),
    ("Sea salt, 10 kg", 1220, False),
    ("Sourdough loaf, case of 12", 4680, False),
    ("Croissants, frozen, case of 60", 5340, False),
    ("Cake boxes, pack of 100", 2975, True),
    ("Proving baskets, set of 6", 7420, True),
)


@dataclass(frozen=True, slots=True)
class Buyer:
    """`habit` names how it pays (see `company`); `every` days between orders; `lines` × `units` sets the size."""

    name: str
    habit: str
    every: int = 30
    lines: int = 2
    units: int = 6
    terms: int = 30
    months: int = 24  # how long it has been buying


def _many(habit: str, names: str, **more: int) -> tuple[Buyer, ...]:
    return tuple(
        Buyer(
            name.strip(),
            habit,
            **{"every": 26 + n % 4 * 3, "units": 4 + n % 5 * 2, "lines": 1 + n % 3, **more},
        )
        for n, name in enumerate(names.split(","))
    )


AMERICAN: tuple[Buyer, ...] = (
    *_many("steady", "Ashgrove Diner, Bellweather Hotel, Canal Street Coffee, Dovetail Kitchen, Elm & Rye, Fenwick Market, "
    "Galley House, Hartley Brothers Deli, Ironbridge Tavern, Juniper Tea Room, Kettle & Crumb, Larkspur Lodge, "
    "Maple Row School Meals, Northside Hospital Catering, "
    "Orchard Gate Bakery, Primrose Hill Cafe, Quarry Lane Gym Bar"),
    *_many("early", "Oakley Grocers, Parkside Pavilion, Quincy Club, Riverbend Bakehouse, Sorrel & Sons, Thistle Hall", terms=21),
    *_many("month_end", "Tanner's Yard Canteen, Union Station Cafes, Valley View Care Home, Westbrook University Dining", every=9),
    *_many("forgetful", "Yellow Door Brunch, Amber Lane Bistro, Birchwood Inn, Copper Pan, Daisy Hill Nursery, Eastgate Food Hall, Foxes' Den"),
    *_many("slow", "Foundry Pizza, Grange Farm Shop, Hollow Tree Pub, Isle of Pies, Jasper's Chophouse, Kiln Street Grill"),
    *_many("seasonal_winter", "Frost Fair Stalls, Pinecrest Ski Cabin", every=8),
    *_many("seasonal_summer", "Pier Nine Ices, Lakeside Boat Kitchen", every=8),
    *_many("chronic", "Old Mill Steakhouse", every=21, units=9),
    *_many("squeezed", "Marigold Patisserie", every=15, units=10, lines=3),
    *_many("first_miss", "Penny Farthing Cafe", every=20),
    *_many("broken_promise", "Blue Heron Grill", every=24, units=9),
    *_many("disputing", "Castle Court Events", every=28, units=8),
    *_many("on_account", "Saffron Street Food", every=22),
    *_many("returns", "Tollgate Tearooms", every=16),
    *_many("late_fee", "Vine & Vessel", every=27),
    *_many("big", "Harvest Table Supermarkets", every=7, units=30, lines=3),
    *_many("new", "Little Acorn Daycare, Moss & Mortar, Nettle Juice Bar", months=2, every=12),
    *_many("left", "Crown Hill Canteen", months=20),
    *_many("example", "Corner Street Cafe", every=31, months=14),
    *_many("abroad", "Laurier Epicerie", every=35),
)  # fmt: skip
NEW_ZEALAND: tuple[Buyer, ...] = (
    *_many("steady", "Aro Valley Espresso, Botanic Tea House, Cuba Quarter Kitchen, Dunes Cafe, Evans Bay Yacht Club, "
    "Fernside Rest Home, Greytown Larder, Huia Street Store, Island Bay Fish Bar, Jervois Quay Eatery, "
    "Karori Family Bakery, Lyall Surf Canteen, Makara Peak Lodge, Newtown School Lunches, "
    "Ohariu Farm Cafe, Plimmerton Beach Store, Quinn Post Tavern"),
    *_many("early", "Oriental Parade Hotel, Petone Provisions, Queens Wharf Functions, Rimu Room, Seatoun Deli, Titahi Bay Surf Club", terms=20),
    *_many("month_end", "Thorndon Government Cafes, Upper Hutt Hospital Kitchens, Victoria Halls, Wairarapa Wine Tours", every=9),
    *_many("forgetful", "Yarrow & Thyme, Akatarawa Tearooms, Brooklyn Bagels, Crofton Downs Creche, Days Bay Pavilion, Eastbourne Grocer, Ferry Road Fudge"),
    *_many("slow", "Featherston Pie Cart, Glenside Tavern, Hataitai Hangout, Ivy Lane Supper Club, Johnsonville Juice, Kilbirnie Kebabs"),
    *_many("seasonal_winter", "Ruapehu Snow Kiosk, Tukino Ski Hut", every=8),
    *_many("seasonal_summer", "Kapiti Gelato, Riversdale Beach Camp", every=8),
    *_many("chronic", "The Rusty Anchor", every=21, units=9),
    *_many("squeezed", "Tui Lane Patisserie", every=15, units=10, lines=3),
    *_many("first_miss", "Paekakariki Post Cafe", every=20),
    *_many("broken_promise", "Miramar Studio Catering", every=24, units=9),
    *_many("disputing", "Te Aro Events", every=28, units=8),
    *_many("on_account", "Wadestown Wholefoods", every=22),
    *_many("returns", "Khandallah Cake Club", every=16),
    *_many("late_fee", "Vogeltown Vintners", every=27),
    *_many("big", "Pohutukawa Supermarkets", every=7, units=30, lines=3),
    *_many("new", "Kelburn Kindy, Silverstream Sourdough, Tawa Tacos", months=2, every=12),
    *_many("left", "Northland Noodles", months=20),
    *_many("example", "Lambton Corner Cafe", every=31, months=14),
    *_many("abroad", "Surry Hills Grocer", every=35),
)  # fmt: skip
CATERING: tuple[Buyer, ...] = (
    *_many("steady", "Alder Court Offices, Beacon Law Partners, Chapel Street Gallery, Dockside Studios", every=30, months=12),
    *_many("slow", "Emberline Architects", every=30, months=12),
    *_many("forgetful", "Fairmont Weddings", every=30, months=12),
    *_many("chronic", "Gable End Theater", every=25, months=12),
    *_many("example", "Harborview Conferences", every=31, months=9),
)  # fmt: skip
JOINERY: tuple[Buyer, ...] = (
    *_many("steady", "Abbot & Lowe Builders, Bramley Developments, Cotswold Lettings, Denholm Schools", every=30, months=12),
    *_many("slow", "Eaton Fitters", every=30, months=12),
    *_many("forgetful", "Foxglove Interiors", every=30, months=12),
    *_many("squeezed", "Garrick Restorations", every=15, months=12, units=9),
    *_many("example", "Holloway Kitchens", every=31, months=9),
)  # fmt: skip
