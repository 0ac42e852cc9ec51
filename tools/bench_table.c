/* SPDX-License-Identifier: MIT */
/* tools/bench_table.c - One table of results, for people or as JSON
 *
 * Rows are collected and printed at the end, when the width of each column is
 * known.  Every row has the same columns; what was not measured is a dash, or
 * null in JSON.
 */
#include "tools/bench.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

enum { COLS_MAX = 16, ROWS_MAX = 64, CELL_MAX = 40, NOTES_MAX = 16, NOTE_MAX = 240 };

struct cell {
        char text[CELL_MAX];            /* "" : not measured */
        bool is_number;
};

static struct {
        const char *name, *title;
        const char *head[COLS_MAX];
        struct cell cell[ROWS_MAX][COLS_MAX];
        char        note[NOTES_MAX][NOTE_MAX];
        uint32_t    rows, cols, at, notes;
        bool        json;
} table;

void bench_table_begin(const char *name, const char *title, bool json)
{
        memset(&table, 0, sizeof table);
        table.name = name;
        table.title = title;
        table.json = json;
}

void bench_row(void)
{
        if (table.rows == ROWS_MAX)
                cmd_die("too many rows in the table of results");
        table.rows++;
        table.at = 0;
}

static struct cell *next_cell(const char *head)
{
        if (table.at == COLS_MAX)
                cmd_die("too many columns in the table of results");
        table.head[table.at] = head;
        if (table.at == table.cols)
                table.cols++;
        return &table.cell[table.rows - 1][table.at++];
}

void bench_text(const char *head, const char *text)
{
        struct cell *c = next_cell(head);
        snprintf(c->text, sizeof c->text, "%s", text);
}

void bench_num(const char *head, double value, int decimals)
{
        struct cell *c = next_cell(head);
        c->is_number = true;
        if (!isnan(value))
                snprintf(c->text, sizeof c->text, "%.*f", decimals, value);
}

void bench_note(const char *fmt, ...)
{
        va_list ap;

        if (table.notes == NOTES_MAX)
                return;
        va_start(ap, fmt);
        vsnprintf(table.note[table.notes++], NOTE_MAX, fmt, ap);
        va_end(ap);
}

/* ---- for people ---- */

/* 1234567.8 as "1,234,567.8" */
static const char *grouped(char buf[CELL_MAX + CELL_MAX / 3], const struct cell *c)
{
        const char *from = c->text;
        char *to = buf;

        if (!c->is_number)
                return c->text;
        size_t digits = strspn(from, "0123456789");
        while (digits) {
                *to++ = *from++;
                if (--digits && digits % 3 == 0)
                        *to++ = ',';
        }
        strcpy(to, from);
        return *buf ? buf : "-";
}

static void print_text(void)
{
        char buf[CELL_MAX + CELL_MAX / 3];
        int width[COLS_MAX];

        for (uint32_t c = 0; c < table.cols; c++) {
                width[c] = (int)strlen(table.head[c]);
                for (uint32_t r = 0; r < table.rows; r++) {
                        int len = (int)strlen(grouped(buf, &table.cell[r][c]));
                        width[c] = len > width[c] ? len : width[c];
                }
        }
        printf("%s\n\n", table.title);
        for (uint32_t c = 0; c < table.cols; c++)
                printf("  %*s", table.cell[0][c].is_number ? width[c] : -width[c], table.head[c]);
        printf("\n");
        for (uint32_t r = 0; r < table.rows; r++) {
                for (uint32_t c = 0; c < table.cols; c++) {
                        const struct cell *cell = &table.cell[r][c];
                        printf("  %*s", cell->is_number ? width[c] : -width[c], grouped(buf, cell));
                }
                printf("\n");
        }
        printf(table.notes ? "\n" : "");
        for (uint32_t i = 0; i < table.notes; i++)
                printf("%s\n", table.note[i]);
}

/* ---- for programs ---- */

static void print_string(const char *s)
{
        putchar('"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        putchar('\\');
                putchar(*s);
        }
        putchar('"');
}

static void print_key(const char *head)
{
        putchar('"');
        for (; *head; head++)
                putchar(isalnum((unsigned char)*head) ? tolower((unsigned char)*head) : '_');
        fputs("\": ", stdout);
}

static void print_cell(const struct cell *c)
{
        if (!c->is_number)
                print_string(c->text);
        else
                fputs(c->text[0] ? c->text : "null", stdout);
}

static void print_json(void)
{
        printf("{\"benchmark\": \"%s\", \"tsc_mhz\": %.0f, \"cores\": %u, \"results\": [", table.name,
               bench_tsc_hz() / 1e6, bench_cores());
        for (uint32_t r = 0; r < table.rows; r++) {
                fputs(r ? ", {" : "{", stdout);
                for (uint32_t c = 0; c < table.cols; c++) {
                        if (c)
                                fputs(", ", stdout);
                        print_key(table.head[c]);
                        print_cell(&table.cell[r][c]);
                }
                fputs("}", stdout);
        }
        fputs("], \"notes\": [", stdout);
        for (uint32_t i = 0; i < table.notes; i++) {
                if (i)
                        fputs(", ", stdout);
                print_string(table.note[i]);
        }
        fputs("]}\n", stdout);
}

void bench_table_end(void)
{
        if (table.json)
                print_json();
        else
                print_text();
        fflush(stdout);
}
