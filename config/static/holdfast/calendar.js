/* Comforts of the calendar: arrow keys, a line that moves with the time. Everything works without. */
(function () {
    "use strict";

    const PHONE = window.matchMedia("(max-width: 767px)");

    // Arrow keys go to the nearest link above, below, or in the column beside.
    function arrows(grid) {
        const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

        function middle(element) {
            const box = element.getBoundingClientRect();
            return box.top + box.height / 2;
        }

        function stopsOf(column) {
            return Array.from(column.querySelectorAll("[data-hf-stop]")).filter(function (one) {
                return one.offsetParent !== null;
            });
        }

        grid.addEventListener("keydown", function (event) {
            const step = steps[event.key];
            const here = event.target.closest("[data-hf-stop]");
            if (!step || !here || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
            const columns = Array.from(grid.querySelectorAll(".hf-cal-column"));
            const column = here.closest(".hf-cal-column");
            let next = null;
            if (step[1]) {
                const stops = stopsOf(column);
                next = stops[stops.indexOf(here) + step[1]];
            } else {
                let at = columns.indexOf(column) + step[0];
                while (columns[at] && stopsOf(columns[at]).length === 0) at += step[0];
                if (columns[at]) {
                    const height = middle(here);
                    next = stopsOf(columns[at]).reduce(function (best, one) {
                        return Math.abs(middle(one) - height) < Math.abs(middle(best) - height) ? one : best;
                    });
                }
            }
            if (next) {
                event.preventDefault();
                next.focus();
            }
        });
    }

    // In a time that is free: the start under the pointer, until where it is drawn; or by keys.
    function gaps(grid) {
        const said = document.querySelector("[data-hf-gap-said]");
        const help = document.querySelector("[data-hf-gap-help]");
        if (help && !PHONE.matches) help.hidden = false;

        function after(text, minutes) {
            const [hour, minute] = text.split(":").map(Number);
            const end = (hour * 60 + minute + minutes) % 1440;
            return String(Math.floor(end / 60)).padStart(2, "0") + ":" + String(end % 60).padStart(2, "0");
        }

        function gap(link) {
            const clock = link.dataset.clock.split(" ");
            const lengths = link.dataset.lengths.split(" ").map(Number);
            const step = Number(link.dataset.grid);
            const first = Date.parse(link.dataset.first);
            const mark = link.querySelector(".hf-cal-at");
            const base = link.href.split("/").slice(0, -2).join("/");
            const total = clock.length * step - step + lengths[0];
            let start = 0;
            let length = lengths[0];
            let from = null; // where drawing began
            if (help) link.setAttribute("aria-describedby", help.id);

            function fitting() {
                return lengths.filter(function (one) {
                    return start * step + one <= total;
                });
            }

            function show(aloud) {
                const fit = fitting();
                if (!fit.includes(length)) length = fit[fit.length - 1];
                const at = new Date(first + start * step * 60000).toISOString().slice(0, 19) + "Z";
                link.href = base + "/" + at + "/" + length;
                const words = clock[start] + "–" + after(clock[start], length);
                const pixels = link.clientHeight / total;
                mark.hidden = false;
                mark.textContent = words;
                mark.style.top = start * step * pixels + "px";
                mark.style.height = length * pixels + "px";
                link.setAttribute("aria-label", link.dataset.said.replace("TIME", words));
                if (aloud && said) said.textContent = words;
            }

            function at(event) {
                const box = link.getBoundingClientRect();
                const minutes = ((event.clientY - box.top) / box.height) * total;
                return Math.min(Math.max(Math.floor(minutes / step), 0), clock.length - 1);
            }

            function upTo(event) {
                const box = link.getBoundingClientRect();
                const end = ((event.clientY - box.top) / box.height) * total;
                const fit = fitting();
                return fit.find(function (one) { return start * step + one >= end; }) || fit[fit.length - 1];
            }

            link.addEventListener("pointermove", function (event) {
                if (event.pointerType === "touch") return;
                if (from === null) {
                    start = at(event);
                } else {
                    start = from;
                    if (at(event) > from) length = upTo(event);
                }
                show(false);
            });
            link.addEventListener("pointerdown", function (event) {
                if (event.pointerType === "touch" || event.button !== 0) return;
                from = start = at(event);
                length = lengths[0];
                link.setPointerCapture(event.pointerId);
                show(false);
            });
            link.addEventListener("pointerup", function () { from = null; });
            link.addEventListener("pointerleave", function () {
                if (document.activeElement !== link) mark.hidden = true;
            });
            link.addEventListener("focus", function () { if (link.matches(":focus-visible")) show(true); });
            link.addEventListener("blur", function () { mark.hidden = true; });
            link.addEventListener("keydown", function (event) {
                const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
                if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
                if (event.shiftKey) {
                    const fit = fitting();
                    const next = fit[fit.indexOf(length) + by];
                    if (next) length = next;
                } else if (start + by < 0 || start + by >= clock.length) {
                    return; // on to the block beside it
                } else {
                    start += by;
                }
                event.preventDefault();
                event.stopPropagation();
                show(true);
                mark.scrollIntoView({ block: "nearest" });
            });
        }

        if (PHONE.matches) return; // a list there: the form says when
        grid.querySelectorAll("[data-hf-gap]").forEach(gap);
    }

    // The grid opens at the present, or where the day begins.
    function open(grid) {
        const line = grid.querySelector("[data-hf-now]");
        const first = grid.querySelector("[data-hf-first]");
        if (line) {
            grid.scrollTop = Math.max(0, line.offsetTop - grid.clientHeight / 3);
        } else if (first) {
            grid.scrollTop = first.offsetTop;
        }
    }

    // The line of the present moves on with it.
    function follow(line, grid) {
        const from = Date.now();
        const top = line.offsetTop;
        const body = line.closest(".hf-cal-body");
        const perMinute = parseFloat(getComputedStyle(grid).getPropertyValue("--px"));
        window.setInterval(function () {
            const at = top + ((Date.now() - from) / 60000) * perMinute;
            line.hidden = at > body.clientHeight;
            line.style.top = at + "px";
        }, 30000);
    }

    // A chosen day or kind is shown at once.
    function sendOnChange(form) {
        form.addEventListener("change", function (event) {
            const field = event.target;
            if (field.matches("select") || (field.type === "date" && field.value && document.activeElement !== field)) {
                form.requestSubmit();
            }
        });
    }

    // The desk's forms: only the fields that count now, and another resource's times at once.
    function desk(form) {
        function show() {
            const who = form.querySelector("[data-hf-who]:checked");
            form.querySelectorAll("[data-hf-for]").forEach(function (part) {
                part.hidden = Boolean(who) && part.dataset.hfFor !== who.value;
            });
            const anyway = form.querySelector("[data-hf-anyway]");
            form.querySelectorAll("[data-hf-for-anyway]").forEach(function (part) {
                part.hidden = !anyway.checked;
            });
        }
        form.addEventListener("change", function (event) {
            show();
            if (event.target.matches("[data-hf-look]")) {
                form.requestSubmit(form.querySelector("[name=step][value=look]"));
            }
        });
        show();
        const chosen = form.querySelector(".hf-pick-times :checked");
        if (chosen) {
            const list = chosen.closest(".hf-pick-times");
            list.scrollTop = chosen.parentElement.offsetTop - list.clientHeight / 3;
        }
    }

    document.addEventListener("DOMContentLoaded", function () {
        document.querySelectorAll("[data-hf-calendar]").forEach(function (grid) {
            gaps(grid);
            arrows(grid);
            if (PHONE.matches) return;
            open(grid);
            grid.querySelectorAll("[data-hf-now]").forEach(function (line) {
                follow(line, grid);
            });
        });
        document.querySelectorAll("[data-hf-calendar-form]").forEach(sendOnChange);
        document.querySelectorAll("[data-hf-desk]").forEach(desk);
    });
})();
