"""A deep network: columns that stay apart, an overview to move along, labels that never overlap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from svr_widget import SVR, SVRTimeline, SVRWidget, compare

DRAWN = '[data-svr="graph"][data-painted="true"]'
DEPTH = 90


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(3)
    weights = {f"blocks.{i}.conv": torch.randn(12, 12, generator=generator) for i in range(DEPTH)}
    path = tmp_path_factory.mktemp("deep") / "page.html"
    SVRWidget(weights, p=0.01, panes=[], links="chain", folded=[]).to_html(path)
    return path


@pytest.fixture
def page(exported: Path, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 900, "height": 700})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(exported.as_uri())
    opened.wait_for_selector(DRAWN)
    yield opened
    context.close()
    assert problems == []


def labels(page: Page) -> list[tuple[int, float]]:
    """Map of every column's label, and where on the page its column is, from left to right."""
    found = page.evaluate(
        """() => [...document.querySelectorAll(".svr-columns [data-map]")].map((label) => {
             const { left } = label.closest(".svr-columns").getBoundingClientRect();
             return [Number(label.dataset.map), left + parseFloat(label.style.left)]; })"""
    )
    return sorted((tuple(item) for item in found), key=lambda item: item[1])


def test_every_column_in_sight_has_a_name_and_they_are_apart(page: Page) -> None:
    shown = labels(page)
    assert len(shown) >= 20
    assert [index for index, _ in shown] == list(range(shown[0][0], shown[-1][0] + 1))
    angle = page.locator(".svr-column-names").get_attribute("data-angle")
    line = {"45": 14 * 2**0.5, "90": 14.0}[str(angle)]
    for (_, left), (_, right) in pairwise(shown):
        assert right - left >= line


def test_it_opens_where_most_was_found_and_leads_there(page: Page) -> None:
    most = page.locator('[data-svr="most"]')
    words = most.inner_text()
    seen = {page.locator(f'[data-map="{index}"]').inner_text() for index, _ in labels(page)}
    assert any(name in words for name in seen)
    window = page.get_by_role("scrollbar", name="part of the network")
    window.focus()
    page.keyboard.press("Home")
    page.wait_for_selector(DRAWN)
    most.press("Enter")
    page.wait_for_selector(DRAWN)
    seen = {page.locator(f'[data-map="{index}"]').inner_text() for index, _ in labels(page)}
    assert any(name in words for name in seen)


def test_the_place_of_the_pointer_says_the_whole_name(page: Page) -> None:
    index, x = labels(page)[3]
    strip = page.locator(".svr-columns").bounding_box()
    assert strip
    page.mouse.move(x, strip["y"] + strip["height"] / 2)
    expect(page.locator('[data-svr="column"]')).to_contain_text(f"blocks.{index}.conv")


def test_the_window_moves_by_keyboard_to_the_last_column_and_back(page: Page) -> None:
    window = page.get_by_role("scrollbar", name="part of the network")
    window.focus()
    page.keyboard.press("Home")
    assert window.get_attribute("aria-valuenow") == "0"
    page.keyboard.press("End")
    page.wait_for_selector(DRAWN)
    assert labels(page)[-1][0] == DEPTH - 1
    assert window.get_attribute("aria-valuenow") == "100"
    assert str(window.get_attribute("aria-valuetext")).endswith(f"blocks.{DEPTH - 1}.conv")
    page.keyboard.press("Home")
    page.wait_for_selector(DRAWN)
    assert labels(page)[0][0] == 0


def test_the_window_is_dragged_with_the_pointer(page: Page) -> None:
    page.get_by_role("scrollbar", name="part of the network").press("Home")
    box = page.get_by_role("scrollbar", name="part of the network").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=4)
    page.mouse.up()
    moved = page.get_by_role("scrollbar", name="part of the network").bounding_box()
    assert moved
    assert moved["x"] == pytest.approx(box["x"] + 200, abs=3)
    page.wait_for_selector(DRAWN)
    assert labels(page)[0][0] > 10


def test_a_column_reached_by_keyboard_comes_into_view(page: Page) -> None:
    page.locator('[data-svr="graph"]').focus()
    for _ in range(DEPTH):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(DRAWN)
    assert any(name == DEPTH - 1 for name, _ in labels(page))


def test_what_is_searched_for_comes_into_sight_and_goes_again(page: Page) -> None:
    before = labels(page)
    away = 3 if before[0][0] > 10 else DEPTH - 10
    column = f"""document.querySelector('.svr-columns [data-map="{away}"]')"""
    field = page.get_by_label("search maps, modules and neurons")
    field.fill(f"blocks.{away}.")
    page.wait_for_function(f"() => {column}")
    assert page.evaluate("() => document.activeElement.tagName") == "INPUT"
    field.press("Escape")
    page.wait_for_function(f"() => !{column}")
    assert labels(page) == before


LAYERS, HEADS = 10, 3


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(5)
    weights = {}
    for layer in range(LAYERS):
        names = [f"h.{layer}.attn.head{head}" for head in range(HEADS)] + [f"h.{layer}.mlp"]
        weights |= {name: torch.randn(12, 12, generator=generator) for name in names}
    weights = {"wte": torch.randn(12, 12, generator=generator), **weights, "head": torch.eye(12)}
    path = tmp_path_factory.mktemp("layered") / "page.html"
    SVRWidget(weights, p=0.05, panes=[], links="chain").to_html(path)
    return path


@pytest.fixture
def folded(layered: Path, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(layered.as_uri())
    opened.wait_for_selector(DRAWN)
    yield opened
    context.close()
    assert problems == []


def names(page: Page) -> list[str]:
    shown = page.locator(".svr-column-names > *").evaluate_all(
        "all => all.map(each => [each.offsetLeft, each.querySelector('.svr-name').textContent])"
    )
    return [name for _, name in sorted(shown)]


FOLDED = ["wte", *(f"h.{layer}" for layer in range(LAYERS)), "head"]
OPENED = ["wte", "h.0", "h.1", "attn", "mlp", *(f"h.{layer}" for layer in range(3, LAYERS)), "head"]


def test_a_deep_network_is_folded_and_a_module_opens_and_closes_by_a_click(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    assert names(page) == FOLDED
    page.get_by_role("button", name="h.2, 4 columns").click()
    page.wait_for_selector(DRAWN)
    assert names(page) == OPENED
    bracket = page.get_by_role("button", name="h.2, 4 columns")
    assert bracket.get_attribute("aria-expanded") == "true"
    bracket.click()
    page.wait_for_selector(DRAWN)
    assert names(page) == FOLDED


def test_modules_fold_by_keyboard_and_keep_the_focus(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    page.get_by_role("button", name="h.0, 4 columns").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert names(page) == OPENED
    assert page.evaluate("document.activeElement.ariaLabel") == "h.2, 4 columns"
    page.keyboard.press("Enter")
    assert names(page) == FOLDED
    assert page.evaluate("document.activeElement.textContent").startswith("h.2")


def test_a_search_unfolds_what_it_finds(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    page.locator('[data-svr="graph"]').press("/")
    page.keyboard.type("h.4.attn.head1 3")
    page.keyboard.press("Enter")
    page.wait_for_selector(DRAWN)
    assert names(page)[5:10] == ["head0", "head1", "head2", "mlp", "h.5"]
    # The keyboard is there: one column to the left is the head before it.
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        """() => document.querySelector('[data-svr="tooltip"]').textContent
             .includes("attn.head0")"""
    )


def test_links_are_seen_as_bands_where_nothing_is_significant(folded: Page) -> None:
    page = folded
    page.get_by_label("significance level").fill("1e-12")
    page.keyboard.press("Enter")
    page.wait_for_selector(DRAWN)
    assert page.locator('[data-svr="shown"]').inner_text() == "0"
    page.locator('[data-svr="levels"] >> text="−"').click()
    # Eleven from column to column, and one inside of each module.
    page.wait_for_selector(f'[data-svr="bands"][data-bands="{LAYERS + 1 + LAYERS}"]')
    before, after = (
        page.get_by_role("button", name=f"h.{at}, 4 columns").bounding_box() for at in (2, 3)
    )
    assert before
    assert after
    box = page.locator('[data-svr="graph"]').bounding_box()
    assert box
    x = (before["x"] + after["x"] + before["width"]) / 2
    said = set()
    for share in range(20, 90):
        page.mouse.move(x, box["y"] + box["height"] * share / 100)
        # One frame in which the pointer is looked at, one in which the words are there.
        words = page.evaluate(
            """async () => {
                 for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
                 const tip = document.querySelector('[data-svr="tooltip"]');
                 return tip.hidden ? "" : tip.innerText; }"""
        )
        said.add(words.split(",")[0])
    assert "h.2 → h.3\n0 significant" in said


def test_the_matrix_of_links_is_folded_alike_and_chooses_a_link(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    for pane in ("Links", "Adjacency"):
        page.get_by_role("button", name=pane, exact=True).click()
    cells = page.locator('[data-svr="links"][data-painted="true"]')
    cells.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    words = page.locator('[data-svr="link-cell"]')
    assert words.inner_text().startswith("h.0 → h.1\n")
    page.keyboard.press("Enter")
    assert page.get_by_label("producer", exact=True).input_value() == "h.0.mlp"
    cells.evaluate("canvas => canvas.blur()")
    page.wait_for_selector('[data-svr="links"][data-painted="true"]')
    # Each module feeds itself and the next: what is not paper lies on two diagonals.
    inked = cells.evaluate(
        """(canvas, many) => {
             const context = canvas.getContext("2d");
             const { width, height } = canvas;
             const { data } = context.getImageData(0, 0, width, height);
             const alpha = (x, y) => data[4 * (Math.round(y) * width + Math.round(x)) + 3];
             let left = 0;  // the names end where the frame's line begins
             while (alpha(left, height - 2) === 0 || alpha(left, height / 2) === 0) left++;
             const cell = (width - left) / many, top = height - many * cell;
             return Array.from({ length: many * many }, (_, at) => {
               const [row, column] = [Math.floor(at / many), at % many];
               return alpha(left + (column + 0.5) * cell, top + (row + 0.5) * cell) > 0
                 ? [row, column] : null;
             }).filter(Boolean); }""",
        LAYERS + 2,
    )
    last = LAYERS + 1
    feeds_itself = [[at, at] for at in range(1, last)]
    assert inked == sorted(feeds_itself + [[at, at - 1] for at in range(1, last + 1)])


def test_the_help_leads_through_five_steps_that_are_never_offered_to_a_program(
    folded: Page,
) -> None:
    page = folded
    assert page.locator('[data-svr="tour-offer"]').is_hidden()
    page.locator('[data-svr="graph"]').press("?")
    page.get_by_role("button", name="tour", exact=True).click()
    card = page.locator('[data-svr="tour"]')
    frame = page.locator('[data-svr="root"]').bounding_box()
    assert frame
    for step in range(1, 6):
        assert f"{step} of 5" in card.inner_text()
        box = card.bounding_box()
        assert box
        assert frame["x"] <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        assert frame["y"] <= box["y"]
        assert box["y"] + box["height"] <= frame["y"] + frame["height"]
        card.get_by_role("button", name="done" if step == 5 else "next").click()
    assert card.is_hidden()
    page.locator('[data-svr="graph"]').press("?")
    page.get_by_role("button", name="tour", exact=True).click()
    page.keyboard.press("Escape")
    assert card.is_hidden()


@pytest.mark.parametrize("width", [500, 920, 1900])
def test_the_offer_of_a_tour_covers_nothing(layered: Path, browser: Browser, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    # A person's browser says nothing of a program that drives it.
    context.add_init_script("Object.defineProperty(navigator, 'webdriver', { get: () => false })")
    page = context.new_page()
    page.goto(layered.as_uri())
    page.wait_for_selector(DRAWN)
    offer = page.locator('[data-svr="tour-offer"]')
    expect(offer).to_be_visible()
    covered = offer.evaluate(
        """(offer) => {
             const of = (element) => element.getBoundingClientRect();
             const mine = of(offer);
             const apart = (box) => box.right <= mine.left || box.left >= mine.right
               || box.bottom <= mine.top + 1 || box.top >= mine.bottom - 1;
             return [...offer.closest('[data-svr="root"]').querySelectorAll("*")]
               .filter((each) => !offer.contains(each) && !each.contains(offer))
               .filter((each) => of(each).width > 0 && of(each).height > 0 && !apart(of(each)))
               .map((each) => each.className); }"""
    )
    assert covered == []
    box, root = offer.bounding_box(), page.locator('[data-svr="root"]').bounding_box()
    assert box
    assert root
    for button in offer.get_by_role("button").all():
        at = button.bounding_box()
        assert at
        assert root["x"] <= at["x"]
        assert at["x"] + at["width"] <= root["x"] + root["width"]
    offer.get_by_role("button", name="no, thanks").click()
    expect(offer).to_be_hidden()
    context.close()


def test_a_search_goes_to_a_module_that_stays_folded(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    page.locator('[data-svr="graph"]').press("/")
    page.keyboard.type("h.4")
    first = page.get_by_role("option").first
    expect(first).to_contain_text("h.4")
    expect(first).to_contain_text("4 columns")
    page.keyboard.press("Enter")
    page.wait_for_selector(DRAWN)
    assert names(page) == FOLDED
    expect(page.locator('[data-svr="filter"]')).to_contain_text("h.4 4 columns")
    page.wait_for_function(
        """() => document.querySelector('[data-svr="tooltip"]').textContent.includes("h.4.")"""
    )


def test_a_search_for_a_module_in_another_unfolds_that(folded: Page) -> None:
    page = folded
    page.locator('[data-svr="levels"] >> text="−"').click()
    page.locator('[data-svr="graph"]').press("/")
    page.keyboard.type("h.2.attn")
    page.keyboard.press("Enter")
    page.wait_for_selector(DRAWN)
    # The three heads were folded at first, too, or not: their module is seen either way.
    assert page.get_by_role("button", name="h.2.attn, 3 columns").count() == 1
    assert (
        page.get_by_role("button", name="h.2, 4 columns").get_attribute("aria-expanded") == "true"
    )
    assert page.evaluate("document.activeElement.dataset.svr") == "graph"


STACK = [f"fc{first}-fc{first + 9}" for first in range(1, 100, 10)]


def test_a_plain_stack_folds_by_ranges(browser: Browser, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(7)
    weights = {f"fc{i}": torch.randn(8, 8, generator=generator) for i in range(1, 101)}
    SVRWidget(weights, p=0.01, panes=[], links="chain").to_html(tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 920, "height": 700}, reduced_motion="reduce")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(DRAWN)
    assert names(page) == STACK
    page.get_by_role("button", name="fc31-fc40, 10 columns").click()
    page.wait_for_selector(DRAWN)
    opened = [*STACK[:3], *(f"fc{i}" for i in range(31, 41)), *STACK[4:]]
    assert names(page) == opened
    page.get_by_role("button", name="fc31-fc40, 10 columns").click()
    page.wait_for_selector(DRAWN)
    assert names(page) == STACK
    page.close()


def test_folds_stay_from_checkpoint_to_checkpoint(browser: Browser, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(8)
    places = [f"h.{block}.{name}" for block in range(13) for name in ("up", "down")]
    svrs = [
        SVR({name: torch.randn(6, 6, generator=generator) for name in places}, links="chain")
        for _ in range(3)
    ]
    timeline = SVRTimeline(svrs, p=0.1)
    timeline.wait()
    timeline.to_html(tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 920, "height": 760}, reduced_motion="reduce")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(DRAWN)
    blocks = [f"h.{block}" for block in range(13)]
    assert names(page) == blocks
    page.get_by_role("button", name="h.5, 2 columns").click()
    opened = [*blocks[:5], "up", "down", *blocks[6:]]
    for step in (2, 1, 0):
        page.wait_for_selector(DRAWN)
        expect(page.locator('[data-svr="step"]')).to_contain_text(str(step))
        assert names(page) == opened
        page.get_by_role("slider", name="checkpoint").press("ArrowLeft")
    page.close()


def test_compared_networks_fold_together_and_so_does_their_difference(
    browser: Browser, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(9)
    places = [f"h.{block}.{name}" for block in range(13) for name in ("up", "down")]
    base = {name: torch.randn(6, 6, generator=generator) for name in places}
    tuned = {name: weight + 0.1 for name, weight in base.items() if not name.startswith("h.12.")}
    compare(base, tuned, names=("base", "tuned"), links="chain", p=0.1).to_html(
        tmp_path / "page.html"
    )
    page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(DRAWN)).to_have_count(2)
    networks = page.locator('[data-svr="network"]')
    networks.nth(0).get_by_role("button", name="h.5, 2 columns").click()
    for network in networks.all():
        button = network.get_by_role("button", name="h.5, 2 columns")
        expect(button).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Difference").click()
    shown = page.locator(".svr-axes:visible .svr-column-names > *")
    # The last block has no partner.
    blocks = [f"h.{block}" for block in range(12)]
    expect(shown).to_have_text([*blocks[:5], "up", "down", *blocks[6:]])
    page.get_by_role("button", name="h.5, 2 columns").and_(page.locator(":visible")).click()
    expect(shown).to_have_text(blocks)
    assert page.evaluate("document.activeElement.ariaLabel") == "h.5, 2 columns"
    assert problems == []
    page.close()
