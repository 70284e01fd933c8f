/** What the web server of that name shows: long enough for many segments, and no two lines alike. */
export declare function page(name: string): string;
